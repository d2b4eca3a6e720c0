"""The core with spans on: what each step says, and whose trace it is in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_ON
from opentelemetry.trace import SpanKind, StatusCode
from typing_extensions import override

from llm_worker.adapters.telemetry.tracing import OtelTracing
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import ProviderDownError, RefusedError
from llm_worker.domain.outcome import Completed, Failed, LetGo, Rejected, Replayed
from llm_worker.domain.verdict import Billing, CallFacts, Usage
from tests.support.builders import (
    REQUEST_TOPIC,
    RESULT_TOPIC,
    body_of,
    completion_of,
    delivery_of,
    hit_of,
)
from tests.support.core import Core
from tests.support.fakes import FakeProvider
from tests.support.wire import read_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler

    from llm_worker.domain.delivery import Delivery, Record

_TRACE, _CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_PARENT = f"00-{_TRACE}-{_CALLER}-01"
_UNSAMPLED = f"00-{_TRACE}-{_CALLER}-00"
_SERVERS = {ProviderName.GOOGLE: ("gemini.example", 8443)}
_offsets = count()


@dataclass(slots=True)
class _Traced:
    """A core whose spans are looked at."""

    sampler: Sampler = DEFAULT_ON
    core: Core = field(default_factory=Core)
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        provider = TracerProvider(sampler=self.sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.core.tracing = OtelTracing(provider, group="workers", servers=_SERVERS)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.spans if span.name == name]
        return span

    @property
    def result(self) -> Record:
        return self.core.publisher.held[-1]


@pytest.fixture
def traced() -> _Traced:
    return _Traced()


def _delivery(
    body: dict[str, Any] | bytes | None = None,
    /,
    *,
    trace: dict[str, str] | None = None,
    **data: object,
) -> Delivery:
    body = body_of(**data) if body is None else body
    headers = tuple((name, value.encode()) for name, value in (trace or {}).items())
    delivery = delivery_of(body, headers=headers, offset=next(_offsets))
    return replace(delivery, received_s=asyncio.get_running_loop().time())


def _says(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def _ids(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def _parent(span: ReadableSpan) -> str | None:
    return span.parent and f"{span.parent.span_id:016x}"


async def test_callers_trace_has_a_span_for_each_step_of_a_delivery(traced: _Traced) -> None:
    delivery = _delivery(trace={"traceparent": _PARENT})
    await traced.core.pipeline().handle(delivery)
    cache, attempt, publish, consume = traced.spans
    assert [span.name for span in traced.spans] == [
        "cache",
        "chat mock-judge-1",
        "publish",
        f"consume {REQUEST_TOPIC}",
    ]
    kinds = [span.kind for span in traced.spans]
    assert kinds == [
        SpanKind.INTERNAL,
        SpanKind.CLIENT,
        SpanKind.PRODUCER,
        SpanKind.CONSUMER,
    ]
    assert {_ids(span)[0] for span in traced.spans} == {_TRACE}
    assert _parent(consume) == _CALLER
    assert {_parent(span) for span in (cache, attempt, publish)} == {_ids(consume)[1]}
    assert all(span.status.status_code is StatusCode.UNSET for span in traced.spans)


async def test_records_carry_the_trace_on_in_headers_envelope_and_result(traced: _Traced) -> None:
    trace = {"traceparent": _PARENT, "tracestate": "vendor=1,other@x=y"}
    await traced.core.pipeline().handle(_delivery(trace=trace))
    span_id = _ids(traced.named(f"consume {REQUEST_TOPIC}"))[1]
    for record in traced.core.publisher.held:
        metadata = read_event(record.value)["metadata"]
        headers = {name: value.decode() for name, value in record.headers if value}
        for carrier in (metadata, headers):
            assert carrier["traceparent"] == f"00-{_TRACE}-{span_id}-01"
            assert carrier["tracestate"] == "vendor=1,other@x=y"
    assert read_event(traced.result.value)["data"]["trace_id"] == _TRACE


async def test_delivery_without_a_trace_begins_one(traced: _Traced) -> None:
    await traced.core.pipeline().handle(_delivery())
    consume = traced.named(f"consume {REQUEST_TOPIC}")
    assert _parent(consume) is None
    assert read_event(traced.result.value)["data"]["trace_id"] == _ids(consume)[0]


async def test_span_of_a_delivery_names_its_place_ids_and_ending(traced: _Traced) -> None:
    body = body_of()
    delivery = _delivery(body)
    await traced.core.pipeline().handle(delivery)
    assert _says(traced.named(f"consume {REQUEST_TOPIC}")) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "consume",
        "messaging.operation.type": "process",
        "messaging.destination.name": REQUEST_TOPIC,
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": delivery.offset,
        "messaging.consumer.group.name": "workers",
        "messaging.message.id": body["event_id"],
        "messaging.message.conversation_id": body["correlation_id"],
        "messaging.message.body.size": len(delivery.value or b""),
        "llm_worker.lane": "normal",
        "llm_worker.ending": "completed",
    }


async def test_span_of_an_attempt_follows_the_genai_conventions(traced: _Traced) -> None:
    usage = Usage(
        prompt_tokens=700,
        completion_tokens=40,
        cache_read_tokens=500,
        cache_write_tokens=20,
        reasoning_tokens=8,
    )
    facts = CallFacts(
        provider_request_id="req_1", http_status=200, response_id="resp_1", finish_reason="stop"
    )
    answer = completion_of(facts=facts)
    answer = replace(answer, model="gemini-9-001", billing=replace(answer.billing, usage=usage))
    traced.core.provider = FakeProvider(answer, name=ProviderName.GOOGLE, default_model="gemini-9")
    wanted = {"temperature_override": 0.5, "max_tokens_override": 900}
    await traced.core.pipeline().handle(_delivery(llm_config_overrides=wanted))
    assert _says(traced.named("generate_content gemini-9")) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-9",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 900,
        "gen_ai.output.type": "json",
        "gen_ai.response.model": "gemini-9-001",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 700,
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.usage.cache_read.input_tokens": 500,
        "gen_ai.usage.cache_write.input_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 8,
        "http.response.status_code": 200,
        "server.address": "gemini.example",
        "server.port": 8443,
        "llm_worker.attempt": 1,
        "llm_worker.cost_usd": 0.001,
        "llm_worker.provider_request_id": "req_1",
    }


async def test_parameter_that_was_left_out_of_the_call_is_not_said_to_be_asked_for(
    traced: _Traced,
) -> None:
    facts = CallFacts(adjustments=("temperature_override left out: m takes no temperature",))
    traced.core.provider.answer = completion_of(facts=facts)
    wanted = {"temperature_override": 0.5}
    await traced.core.pipeline().handle(_delivery(llm_config_overrides=wanted))
    said = _says(traced.named("chat mock-judge-1"))
    assert "gen_ai.request.temperature" not in said
    assert said["gen_ai.request.max_tokens"] == 4096


async def test_each_attempt_has_its_span_and_says_by_code_alone_how_it_failed(
    traced: _Traced,
) -> None:
    quoted = "the provider quotes: Dogs are loyal"
    refused = RefusedError(quoted, billing=Billing(), facts=CallFacts(http_status=400))
    traced.core.provider.answer = refused
    traced.core.others = [
        FakeProvider(completion_of(), name=ProviderName.OPENAI, default_model="gpt")
    ]
    assert isinstance(await traced.core.pipeline().handle(_delivery()), Completed)
    failed, good = traced.named("chat mock-judge-1"), traced.named("chat gpt")
    assert (failed.status.status_code, failed.status.description) == (
        StatusCode.ERROR,
        "LLM_INVALID_PROMPT",
    )
    assert (
        _says(failed).items()
        >= {
            "error.type": "LLM_INVALID_PROMPT",
            "http.response.status_code": 400,
            "llm_worker.attempt": 1,
        }.items()
    )
    unknown = ("llm_worker.cost_usd", "gen_ai.usage.")
    assert not [name for name in _says(failed) if name.startswith(unknown)]
    assert _says(good)["llm_worker.attempt"] == 2
    assert good.status.status_code is StatusCode.UNSET
    assert "Dogs" not in "".join(span.to_json() for span in traced.spans)


async def test_failed_delivery_is_an_error_with_its_code(traced: _Traced) -> None:
    traced.core.provider.answer = ProviderDownError("down: Dogs are loyal", billing=Billing())
    traced.core.attempts_at_most = 1
    ending = await traced.core.pipeline().handle(_delivery(trace={"traceparent": _PARENT}))
    assert isinstance(ending, Failed)
    consume = traced.named(f"consume {REQUEST_TOPIC}")
    assert (consume.status.status_code, consume.status.description) == (
        StatusCode.ERROR,
        "SERVICE_UNAVAILABLE",
    )
    assert _says(consume)["llm_worker.ending"] == "failed"
    detail = read_event(traced.result.value)["data"]["error_detail"]
    assert (detail["trace_id"], detail["span_id"]) == _ids(consume)


async def test_rejected_delivery_is_answered_in_its_callers_trace(traced: _Traced) -> None:
    body = body_of(user_prompt=7) | {"metadata": {"traceparent": _PARENT}}
    assert isinstance(await traced.core.pipeline().handle(_delivery(body)), Rejected)
    publish, consume = traced.spans
    assert publish.name == f"publish {RESULT_TOPIC}"
    assert _says(publish)["messaging.batch.message_count"] == 1
    assert (consume.status.description, _says(consume)["llm_worker.ending"]) == (
        "LLM_INVALID_PROMPT",
        "rejected",
    )
    assert _parent(consume) == _CALLER
    result = read_event(traced.result.value)
    assert result["metadata"]["traceparent"] == f"00-{_TRACE}-{_ids(consume)[1]}-01"
    assert result["data"]["trace_id"] == _TRACE


async def test_what_nobody_can_be_asked_about_has_a_span_all_the_same(traced: _Traced) -> None:
    await traced.core.pipeline().handle(replace(_delivery(b"no JSON"), key=None))
    consume = traced.named(f"consume {REQUEST_TOPIC}")
    assert "messaging.message.conversation_id" not in _says(consume)
    assert consume.status.description == "PARSING_ERROR"


async def test_redelivery_is_in_the_same_trace_and_publishes_the_same_bytes(
    traced: _Traced,
) -> None:
    pipeline, body = traced.core.pipeline(), body_of()
    await pipeline.handle(_delivery(body, trace={"traceparent": _PARENT}))
    first = list(traced.core.publisher.held)
    traced.core.publisher.held.clear()
    traced.exporter.clear()

    ending = await pipeline.handle(_delivery(body, trace={"traceparent": _PARENT}))
    assert isinstance(ending, Replayed)
    assert traced.core.publisher.held == first[-1:]
    publish, consume = traced.spans
    assert (publish.name, _parent(publish)) == (f"publish {RESULT_TOPIC}", _ids(consume)[1])
    assert (_ids(consume)[0], _parent(consume)) == (_TRACE, _CALLER)
    assert _says(consume)["llm_worker.ending"] == "replayed"


async def test_look_up_says_what_it_found_and_where(traced: _Traced) -> None:
    pipeline = traced.core.pipeline()
    await pipeline.handle(_delivery())
    assert _says(traced.named("cache")) == {"llm_worker.cache.result": "miss"}
    traced.exporter.clear()
    traced.core.cache.known = hit_of()
    await pipeline.handle(_delivery())
    assert _says(traced.named("cache")) == {
        "llm_worker.cache.result": "hit",
        "llm_worker.cache.tier": "redis",
    }
    traced.exporter.clear()
    await pipeline.handle(_delivery(cache_mode="bypass"))
    assert "cache" not in {span.name for span in traced.spans}


async def test_requests_that_share_a_purchase_keep_to_their_own_traces(traced: _Traced) -> None:
    traced.core.provider.takes_s = 0.001  # so that the others come meanwhile
    pipeline, deliveries = traced.core.pipeline(), [_delivery() for _ in range(3)]
    await asyncio.gather(*(pipeline.handle(each) for each in deliveries))
    consumes = [span for span in traced.spans if span.name.startswith("consume")]
    assert len({_ids(span)[0] for span in consumes}) == 3
    by_result = {_says(s)["llm_worker.cache.result"]: s for s in traced.spans if s.name == "cache"}
    assert set(by_result) == {"hit", "miss"}
    attempt = traced.named("chat mock-judge-1")
    assert _ids(attempt)[0] == _ids(by_result["miss"])[0]
    for span in traced.spans:
        if span.name in {"cache", "publish"}:
            assert (_ids(span)[0], _parent(span)) in {_ids(consume) for consume in consumes}


async def test_failure_of_the_question_is_told_by_code_to_who_waits_for_it(
    traced: _Traced,
) -> None:
    traced.core.provider.answer = RefusedError("no: Dogs are loyal", billing=Billing())
    traced.core.provider.takes_s = 0.001
    pipeline, deliveries = traced.core.pipeline(), [_delivery() for _ in range(2)]
    await asyncio.gather(*(pipeline.handle(each) for each in deliveries))
    [follower] = [s for s in traced.spans if s.name == "cache" and s.status.description]
    assert _says(follower) == {
        "llm_worker.cache.result": "failed",
        "error.type": "LLM_INVALID_PROMPT",
    }


async def test_delivery_that_is_given_back_is_no_error(traced: _Traced) -> None:
    pipeline = traced.core.pipeline()
    traced.core.ownership.is_ours = False
    assert isinstance(await pipeline.handle(_delivery()), LetGo)
    consume = traced.named(f"consume {REQUEST_TOPIC}")
    assert _says(consume)["llm_worker.ending"] == "let_go"
    assert consume.status.status_code is StatusCode.UNSET


async def test_caller_that_is_not_sampled_gets_its_trace_back_as_it_came(traced: _Traced) -> None:
    trace = {"traceparent": _UNSAMPLED, "tracestate": "a=1"}
    await traced.core.pipeline().handle(_delivery(trace=trace))
    assert traced.spans == []
    assert read_event(traced.result.value)["metadata"] == trace


async def test_sampler_that_does_not_follow_callers_decides_by_itself() -> None:
    traced = _Traced(sampler=ALWAYS_ON)
    await traced.core.pipeline().handle(_delivery(trace={"traceparent": _UNSAMPLED}))
    consume = traced.named(f"consume {REQUEST_TOPIC}")
    assert (_ids(consume)[0], _parent(consume)) == (_TRACE, _CALLER)
    metadata = read_event(traced.result.value)["metadata"]
    assert metadata["traceparent"] == f"00-{_TRACE}-{_ids(consume)[1]}-01"


@pytest.mark.parametrize("flags", ["00", "02", "fe", "01", "03", "ff"])
async def test_sampler_that_follows_callers_goes_by_the_last_bit(
    flags: str, traced: _Traced
) -> None:
    trace = {"traceparent": f"00-{_TRACE}-{_CALLER}-{flags}"}
    await traced.core.pipeline().handle(_delivery(trace=trace))
    assert bool(traced.spans) is bool(int(flags, 16) & 1)


async def test_sampler_that_takes_nothing_leaves_everything_as_without_tracing() -> None:
    traced = _Traced(sampler=ALWAYS_OFF)
    await traced.core.pipeline().handle(_delivery(trace={"traceparent": _PARENT}))
    assert read_event(traced.result.value)["metadata"] == {"traceparent": _PARENT}
    await traced.core.pipeline().handle(_delivery())
    assert read_event(traced.result.value)["metadata"] is None
    assert traced.spans == []


async def test_steps_that_are_cancelled_end_their_spans(traced: _Traced) -> None:
    traced.core.provider.answer = None  # it hangs
    delivery = _delivery()
    task = asyncio.ensure_future(traced.core.pipeline().handle(delivery))
    await traced.core.provider.called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for name in ("chat mock-judge-1", f"consume {REQUEST_TOPIC}"):
        assert traced.named(name).status.description == "CancelledError"


async def test_defect_in_a_span_takes_no_verdict_away(traced: _Traced) -> None:
    traced.core.provider.answer = completion_of(facts=CallFacts(adjustments=(7,)))  # type: ignore[arg-type] # the defect
    wanted = {"temperature_override": 0.5}
    ending = await traced.core.pipeline().handle(_delivery(llm_config_overrides=wanted))
    assert isinstance(ending, Completed)
    assert traced.named("chat mock-judge-1").end_time is not None


class _StuckExporter(SpanExporter):
    """Takes the first spans, and never comes back."""

    def __init__(self) -> None:
        self.is_asked, self.may_end = Event(), Event()

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.is_asked.set()
        self.may_end.wait()
        return SpanExportResult.FAILURE


async def test_receiver_that_never_answers_disturbs_nobody_and_holds_up_no_end() -> None:
    exporter, provider = _StuckExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=4, max_export_batch_size=2)
    )
    tracing = OtelTracing(provider, group="workers", servers={}, closing_s=0.01)
    pipeline = Core(tracing=tracing).pipeline()
    for _ in range(5):
        assert isinstance(await pipeline.handle(_delivery(replicate=next(_offsets))), Completed)
    assert await asyncio.to_thread(exporter.is_asked.wait, 60)
    await tracing.aclose()
    exporter.may_end.set()


async def test_end_sends_what_is_left() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracing = OtelTracing(provider, group="workers", servers={})
    await Core(tracing=tracing).pipeline().handle(_delivery())
    await tracing.aclose()
    assert len(exporter.get_finished_spans()) == 4
