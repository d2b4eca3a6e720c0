"""A worker on a real broker that sends its spans to a real OTLP receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
import pytest

from llm_worker.contracts.vocabulary import ProviderName, TopicName
from llm_worker.dev.fake_providers import FakeProviderServer, MalformedJson, Overloaded, Verdict
from llm_worker.dev.leashed import free_ports
from tests.support.builders import body_of
from tests.support.fake_worker import pointing_at
from tests.support.otlp import OtlpReceiver
from tests.support.wire import read_event
from tests.support.worker import Installation, answered, send_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiokafka import ConsumerRecord

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.support.otlp import ReceivedSpan

_TRACE, _CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_PARENT = f"00-{_TRACE}-{_CALLER}-01"
_STATE = "congo=t61rcWkgMzE"
_SECRET = "Zwiebelfisch"  # noqa: S105 - what must be found nowhere
_ANTHROPIC, _OPENAI = ProviderName.ANTHROPIC, ProviderName.OPENAI


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    async with FakeProviderServer() as fake:
        yield fake


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
async def installation(
    kafka: EmbeddedKafka, tmp_path: Path, fake: FakeProviderServer, receiver: OtlpReceiver
) -> Installation:
    settings = pointing_at(fake, _ANTHROPIC, _OPENAI) | {
        "LLM_WORKER_ENVIRONMENT": "testing",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-token=secret",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=judges,team=assessment",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    return await Installation(kafka.bootstrap_servers, tmp_path, settings=settings).create()


async def _send(installation: Installation, body: dict[str, Any], **headers: str) -> ConsumerRecord:
    """Send one request, with headers of its record, and give its result."""
    topic = installation.topic(TopicName.COMPARISON_RESULT)
    before = sum((await installation.ends(topic)).values())
    async with installation.producer() as producer:
        await producer.send_and_wait(
            installation.request_topic(),
            orjson.dumps(body),
            key=body["correlation_id"].encode(),
            headers=[(name, value.encode()) for name, value in headers.items()],
        )
    records = await installation.read(topic, until=lambda records: len(records) > before)
    return max(records, key=lambda record: record.timestamp)


def _is_whole(spans: list[ReceivedSpan]) -> bool:
    return any(span.name.startswith("consume") for span in spans)


def _headers(record: ConsumerRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


async def test_callers_trace_shows_every_step_and_goes_on_in_the_result(
    installation: Installation, fake: FakeProviderServer, receiver: OtlpReceiver
) -> None:
    fake.provider(_ANTHROPIC).always(Overloaded())
    body = body_of()
    async with installation.worker() as worker:
        result = await _send(installation, body, traceparent=_PARENT, tracestate=_STATE)
        spans = await receiver.until(_is_whole)
        assert await worker.terminate() == 0

    *steps, consume = sorted(spans, key=lambda span: span.span.end_time_unix_nano)
    cache, failed, good, publish = steps
    assert consume.name == f"consume {installation.request_topic()}"
    assert [span.name.partition(" ")[0] for span in steps] == ["cache", "chat", "chat", "publish"]
    assert {span.trace_id for span in spans} == {_TRACE}
    assert {span.span.trace_state for span in spans} == {_STATE}
    assert consume.parent_id == _CALLER
    assert {span.parent_id for span in steps} == {consume.span_id}
    kinds = [span.span.kind for span in (consume, *steps)]
    assert kinds == [5, 1, 3, 3, 4], "consumer, internal, client, client, producer"
    assert [span.error for span in (consume, cache, good, publish)] == [None] * 4
    _check_delivery(consume, installation, body)
    _check_attempts(failed, good)
    assert cache.says == {"llm_worker.cache.result": "miss"}
    _check_result(result, consume)
    [line] = [x for x in worker.log.splitlines() if '"event":"delivery"' in x]
    logged = orjson.loads(line)
    assert (logged["trace_id"], logged["correlation_id"]) == (_TRACE, body["correlation_id"])


def _check_delivery(
    consume: ReceivedSpan, installation: Installation, body: dict[str, Any]
) -> None:
    expected = {
        "messaging.system": "kafka",
        "messaging.destination.name": installation.request_topic(),
        "messaging.consumer.group.name": installation.group,
        "messaging.message.conversation_id": body["correlation_id"],
        "messaging.message.id": body["event_id"],
        "llm_worker.lane": "normal",
        "llm_worker.ending": "completed",
    }
    assert consume.says.items() >= expected.items()


def _check_attempts(failed: ReceivedSpan, good: ReceivedSpan) -> None:
    assert (failed.error, failed.says["error.type"]) == ("SERVICE_UNAVAILABLE",) * 2
    assert failed.says["http.response.status_code"] == 529
    assert failed.says["gen_ai.provider.name"] == "anthropic"
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.finish_reasons": ["stop"],
        "server.address": "127.0.0.1",
    }
    for name, value in expected.items():
        assert good.says[name] == value
    assert good.name == f"chat {good.says['gen_ai.request.model']}"
    assert good.says["gen_ai.response.id"].startswith("chatcmpl-")
    assert good.says["gen_ai.usage.output_tokens"] > 0
    assert good.says["server.port"] > 0


def _check_result(result: ConsumerRecord, consume: ReceivedSpan) -> None:
    carried = {"traceparent": f"00-{_TRACE}-{consume.span_id}-01", "tracestate": _STATE}
    assert _headers(result).items() >= carried.items()
    event = read_event(result.value)
    assert event["metadata"] == carried
    assert event["data"]["trace_id"] == _TRACE


async def test_operator_says_whose_the_spans_are_and_how_they_are_let_in(
    installation: Installation, receiver: OtlpReceiver
) -> None:
    async with installation.worker():
        await _send(installation, body_of())
        [span, *_] = await receiver.until(_is_whole)
    said = span.resource
    assert (said["service.name"], said["team"]) == ("judges", "assessment")
    assert said["deployment.environment.name"] == "testing"
    assert said["service.instance.id"]
    assert receiver.headers[0]["x-token"] == "secret"


async def test_redelivery_is_in_the_callers_trace_and_keeps_the_results_bytes(
    installation: Installation, receiver: OtlpReceiver
) -> None:
    body = body_of() | {"metadata": {"traceparent": _PARENT}}
    async with installation.worker() as worker:
        first = await _send(installation, body)
        again = await _send(installation, body)
        assert await worker.terminate() == 0
    assert (again.value, again.headers) == (first.value, first.headers)
    consumes = [span for span in receiver.spans if span.name.startswith("consume")]
    assert [span.says["llm_worker.ending"] for span in consumes] == ["completed", "replayed"]
    assert {(span.trace_id, span.parent_id) for span in consumes} == {(_TRACE, _CALLER)}
    assert len([span for span in receiver.spans if span.name.startswith("chat")]) == 1


async def test_no_text_and_no_key_is_in_anything_that_is_sent(
    installation: Installation, fake: FakeProviderServer, receiver: OtlpReceiver
) -> None:
    quoting = MalformedJson(text=f"{_SECRET} says the essay.")
    fake.provider(_ANTHROPIC).next(quoting, Verdict(justification=f"{_SECRET} argues well."))
    key = f"key-{_SECRET}"
    planted = body_of(
        user_prompt=f"{_SECRET} is the better one?",
        essay_a=f"{_SECRET} A",
        essay_b=f"{_SECRET} B",
        metadata={"note": _SECRET},
        user_id=_SECRET,
        organization_id=_SECRET,
        llm_config_overrides={"system_prompt_override": _SECRET},
    )
    broken = body_of(essay_a=_SECRET, essay_b=None)
    async with installation.worker(LLM_WORKER_PROVIDERS__ANTHROPIC__API_KEY=key) as worker:
        assert read_event((await _send(installation, planted)).value)["data"]["winner"]
        assert read_event((await _send(installation, broken)).value)["data"]["error_detail"]
        assert await worker.terminate() == 0
    consumes = [span for span in receiver.spans if span.name.startswith("consume")]
    assert [span.error for span in consumes] == [None, "VALIDATION_ERROR"]
    assert [span.error for span in receiver.spans if span.name.startswith("chat")] == [
        *("INVALID_RESPONSE", None)
    ]
    assert _SECRET.encode() not in b"".join(receiver.bodies)
    assert _SECRET not in worker.log


async def test_caller_that_is_not_sampled_is_answered_in_its_trace_without_spans(
    installation: Installation, receiver: OtlpReceiver
) -> None:
    parent = f"00-{_TRACE}-{_CALLER}-00"
    async with installation.worker() as worker:
        result = await _send(installation, body_of(), traceparent=parent)
        assert await worker.terminate() == 0
    assert _headers(result)["traceparent"] == parent
    assert receiver.bodies == []


async def test_receiver_that_is_down_disturbs_nobody(installation: Installation) -> None:
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    bodies = [body_of() for _ in range(40)]
    frequent = {"OTEL_BSP_SCHEDULE_DELAY": "1", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"}
    async with installation.worker(OTEL_EXPORTER_OTLP_ENDPOINT=nobody, **frequent) as worker:
        async with installation.producer() as producer:
            for body in bodies:
                await send_all(producer, installation.request_topic(), [body])
        results = await installation.read(
            installation.topic(TopicName.COMPARISON_RESULT),
            until=lambda records: len(records) >= len(bodies),
        )
        await installation.until_committed()
        assert await worker.terminate() == 0
    assert answered(results) == {body["correlation_id"] for body in bodies}
    complaints = [line for line in worker.log.splitlines() if "Failed to export spans" in line]
    assert 1 <= len(complaints) <= 10, "the first of a window, and how many more there were"


async def test_receiver_that_never_answers_holds_up_no_end(
    installation: Installation, receiver: OtlpReceiver
) -> None:
    receiver.hangs = True
    async with installation.worker(OTEL_EXPORTER_OTLP_TIMEOUT="100") as worker:
        await _send(installation, body_of(user_id=str(uuid4())))
        await receiver.until_asked()
        assert await worker.terminate() == 0
    assert '"event":"spans_lost"' in worker.log
