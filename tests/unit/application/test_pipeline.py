from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

import orjson
import pytest
from typing_extensions import override

from llm_worker.adapters.cache.local_outcomes import LocalOutcomes
from llm_worker.application.ports import Refusal
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.claim import KnownOutcome
from llm_worker.domain.errors import (
    MalformedAnswerError,
    ProviderDownError,
    ProviderTimeoutError,
)
from llm_worker.domain.outcome import Completed, Failed, LetGo, Rejected, Replayed
from llm_worker.domain.request import ComparisonRequest, rejection_namespace
from llm_worker.domain.verdict import Billing, CallFacts
from tests.support.builders import (
    DEAD_LETTER_TOPIC,
    RESULT_TOPIC,
    body_of,
    codec_of,
    completion_of,
    delivery_of,
)
from tests.support.core import Core
from tests.support.fakes import FakeProvider, FakePublisher
from tests.support.wire import data_of, error_code_of, read_event

if TYPE_CHECKING:
    from llm_worker.domain.delivery import Delivery, Record
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.verdict import Completion

_offsets = count()
_REPLY_TOPIC = "huleedu.cj.results.v1"
_STARTED = "huleedu.llm_provider.request_started.v1"
_COST = "huleedu.llm_provider.cost_tracking.v1"
_COMPLETED = "huleedu.llm_provider.request_completed.v1"
_FAILURE = "huleedu.llm_provider.failure.v1"
_MISS = "huleedu.llm_provider.cache_miss.v1"


@dataclass(slots=True)
class _GatedProvider(FakeProvider):
    """Answers once the gate is open."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)

    @override
    async def judge(
        self, request: ComparisonRequest, attempt: Attempt, limit_s: float
    ) -> Completion:
        self.calls.append((request, attempt))
        self.called.set()
        await self.gate.wait()
        assert not isinstance(self.answer, Exception)
        assert self.answer is not None
        return self.answer


@pytest.fixture
def core() -> Core:
    return Core()


def _delivery(body: dict[str, Any] | bytes | None = None, /, **data: object) -> Delivery:
    """A record of its own each time, as a caller's retry has; a redelivery is the same one."""
    delivery = delivery_of(body_of(**data) if body is None else body, offset=next(_offsets))
    return replace(delivery, received_s=asyncio.get_running_loop().time())


async def test_every_event_is_held_before_the_delivery_ends_and_the_result_comes_last(
    core: Core,
) -> None:
    ending = await core.pipeline().handle(_delivery())
    assert isinstance(ending, Completed)
    assert core.publisher.topics_held() == [_STARTED, _COST, _MISS, _COMPLETED, RESULT_TOPIC]
    assert data_of(core.publisher.held[-1].value)["winner"] == "Essay A"


async def test_start_is_sent_before_the_provider_is_called(core: Core) -> None:
    seen: list[str] = []
    core.provider.before_answering = lambda: seen.extend(r.topic for r in core.publisher.sent)
    await core.pipeline().handle(_delivery())
    assert seen == [_STARTED]


async def test_outcome_is_kept_before_it_is_published(core: Core) -> None:
    body = body_of()
    outcomes = LocalOutcomes(max_bytes=1_000_000, clock=core.clock)
    core.outcomes, request = outcomes, codec_of().decode(_delivery(body))
    assert isinstance(request, ComparisonRequest)
    known_at_publish: list[bool] = []

    def look(record: Record) -> Refusal | None:
        kept = outcomes.look(request)  # what a crash here would leave
        known_at_publish.append(isinstance(kept, KnownOutcome) and record in kept.records)
        return None

    core.publisher = FakePublisher(refuse=look)
    await core.pipeline().handle(_delivery(body))
    assert known_at_publish == [True] * 5


async def test_request_sent_again_is_answered_with_the_same_bytes_and_calls_nobody(
    core: Core,
) -> None:
    pipeline, body = core.pipeline(), body_of()
    await pipeline.handle(_delivery(body))
    first = list(core.publisher.held)
    core.publisher.held.clear()

    ending = await pipeline.handle(_delivery(body))
    assert isinstance(ending, Replayed)
    assert core.publisher.held == first[-1:]
    assert len(core.provider.calls) == 1


async def test_same_request_twice_in_flight_is_bought_once(core: Core) -> None:
    core.provider = provider = _GatedProvider(completion_of())
    pipeline, body = core.pipeline(), body_of()
    tasks = [asyncio.ensure_future(pipeline.handle(_delivery(body))) for _ in range(2)]
    await core.provider.called.wait()
    provider.gate.set()
    endings = await asyncio.gather(*tasks)
    assert [type(ending) for ending in endings] == [Completed, Replayed]
    assert len(core.provider.calls) == 1
    *_, first, second = core.publisher.held
    assert first == second
    assert first.topic == RESULT_TOPIC


async def test_twin_of_a_cancelled_request_is_bought(core: Core) -> None:
    core.provider = provider = _GatedProvider(completion_of())
    pipeline, body = core.pipeline(), body_of()
    first, second = (asyncio.ensure_future(pipeline.handle(_delivery(body))) for _ in range(2))
    await core.provider.called.wait()
    first.cancel()
    provider.gate.set()
    assert isinstance(await second, Completed)
    assert len(core.provider.calls) == 2


async def test_redelivery_of_a_redirected_result_is_answered_where_it_was_taken(
    core: Core,
) -> None:
    core.reply_topics.usable.add(_REPLY_TOPIC)
    core.publisher = _refuses(_REPLY_TOPIC, why=Refusal.NOT_DELIVERABLE)
    pipeline, body = core.pipeline(), body_of(callback_topic=_REPLY_TOPIC)
    await pipeline.handle(_delivery(body))
    first = list(core.publisher.held)
    core.publisher.held.clear()
    assert isinstance(await pipeline.handle(_delivery(body)), Replayed)
    assert core.publisher.held == first[-1:]


async def test_redelivery_whose_reply_topic_has_gone_is_answered_on_the_default_one(
    core: Core,
) -> None:
    core.reply_topics.usable.add(_REPLY_TOPIC)
    pipeline, body = core.pipeline(), body_of(callback_topic=_REPLY_TOPIC)
    await pipeline.handle(_delivery(body))
    core.publisher.refuse = _refuses(_REPLY_TOPIC, why=Refusal.NOT_DELIVERABLE).refuse
    core.publisher.held.clear()
    await pipeline.handle(_delivery(body))
    assert core.publisher.held[-1].topic == RESULT_TOPIC
    assert ("undeliverable_to", _REPLY_TOPIC.encode()) in core.publisher.held[-1].headers


async def test_redelivery_of_a_failure_is_replayed_too(core: Core) -> None:
    core.attempts_at_most = 1
    core.provider.answer = ProviderDownError("503", facts=CallFacts(http_status=503))
    pipeline, body = core.pipeline(), body_of()
    assert isinstance(await pipeline.handle(_delivery(body)), Failed)
    first = core.publisher.topics_held()
    assert first == [_STARTED, _FAILURE, _MISS, _COMPLETED, DEAD_LETTER_TOPIC, RESULT_TOPIC]
    assert isinstance(await pipeline.handle(_delivery(body)), Replayed)
    assert core.publisher.topics_held() == [*first, RESULT_TOPIC]


async def test_redelivery_of_what_was_let_go_is_bought(core: Core) -> None:
    pipeline, body = core.pipeline(), body_of()
    core.ownership.is_ours = False
    assert isinstance(await pipeline.handle(_delivery(body)), LetGo)
    core.ownership.is_ours = True
    assert isinstance(await pipeline.handle(_delivery(body)), Completed)


async def test_same_correlation_id_under_another_event_id_is_another_request(core: Core) -> None:
    pipeline, body = core.pipeline(), body_of()
    await pipeline.handle(_delivery(body))
    assert isinstance(
        await pipeline.handle(_delivery(body | {"event_id": str(uuid4())})), Completed
    )
    assert len(core.provider.calls) == 2


async def test_two_contents_under_one_event_id_are_told_apart(core: Core) -> None:
    pipeline, body = core.pipeline(), body_of()
    await pipeline.handle(_delivery(body))
    other = body | {"data": body["data"] | {"essay_b": "another essay"}}
    ending = await pipeline.handle(_delivery(other))

    assert isinstance(ending, Rejected)
    answer = core.publisher.held[-1]
    assert error_code_of(answer.value) == "VALIDATION_ERROR"
    request = codec_of().decode(_delivery(other))
    assert not isinstance(request, Rejected)
    namespace = rejection_namespace(UUID(body["event_id"]), request.data_hash)
    assert read_event(answer.value)["event_id"] == str(uuid5(namespace, "comparison_result"))
    assert len(core.provider.calls) == 1

    await pipeline.handle(_delivery(other))
    assert (
        read_event(core.publisher.held[-1].value)["event_id"]
        == (read_event(answer.value)["event_id"])
    )


async def test_content_is_compared_by_meaning_and_not_by_bytes(core: Core) -> None:
    pipeline, body = core.pipeline(), body_of()
    await pipeline.handle(_delivery(body))
    reordered = orjson.dumps(
        body | {"data": dict(reversed(body["data"].items()))}, option=orjson.OPT_INDENT_2
    )
    assert isinstance(await pipeline.handle(_delivery(reordered)), Replayed)


async def test_reply_goes_to_the_topic_that_the_caller_named(core: Core) -> None:
    core.reply_topics.usable.add(_REPLY_TOPIC)
    await core.pipeline().handle(_delivery(callback_topic=_REPLY_TOPIC))
    result = core.publisher.held[-1]
    assert (result.topic, result.is_own) == (_REPLY_TOPIC, False)
    assert read_event(result.value)["event_type"] == RESULT_TOPIC


async def test_reply_topic_that_cannot_be_used_is_an_error_on_the_default_one(core: Core) -> None:
    ending = await core.pipeline().handle(_delivery(callback_topic="huleedu.nowhere"))
    assert isinstance(ending, Rejected)
    [answer] = core.publisher.held
    assert answer.topic == RESULT_TOPIC
    assert error_code_of(answer.value) == "LLM_INVALID_CALLBACK_TOPIC"
    assert "LLM_WORKER_CALLBACK_PATTERNS" in data_of(answer.value)["error_detail"]["message"]
    assert core.provider.calls == []


async def test_rejection_goes_to_the_callers_topic_if_it_can_be_used(core: Core) -> None:
    core.reply_topics.usable.add(_REPLY_TOPIC)
    bad = {"user_prompt": " ", "essay_a": None, "essay_b": None}
    await core.pipeline().handle(_delivery(callback_topic=_REPLY_TOPIC, **bad))
    await core.pipeline().handle(_delivery(callback_topic="huleedu.nowhere", **bad))
    assert core.publisher.topics_held() == [_REPLY_TOPIC, RESULT_TOPIC]
    assert {error_code_of(record.value) for record in core.publisher.held} == {"LLM_INVALID_PROMPT"}


async def test_unanswerable_delivery_becomes_a_dead_letter_and_nothing_else(core: Core) -> None:
    ending = await core.pipeline().handle(_delivery(b"\xff\xfe"))
    assert isinstance(ending, Rejected)
    [letter] = core.publisher.held
    assert (letter.topic, letter.value) == (DEAD_LETTER_TOPIC, b"\xff\xfe")


async def test_not_after_in_the_past_is_a_timeout_and_nobody_is_called(core: Core) -> None:
    ending = await core.pipeline().handle(_delivery(not_after="2026-11-23T09:00:00Z"))
    assert isinstance(ending, Failed)
    assert error_code_of(core.publisher.held[-1].value) == "TIMEOUT"
    assert core.publisher.topics_held() == [_COMPLETED, DEAD_LETTER_TOPIC, RESULT_TOPIC]
    assert core.provider.calls == []


async def test_delivery_that_is_let_go_publishes_nothing(core: Core) -> None:
    core.slots.let_go()
    assert isinstance(await core.pipeline().handle(_delivery()), LetGo)
    assert core.publisher.sent == []


async def test_delivery_that_is_let_go_between_attempts_tells_what_was_paid_and_no_result(
    core: Core,
) -> None:
    late = ProviderTimeoutError("late", billing=Billing(cost_usd=Decimal("0.5")))
    core.provider.next_answers = [late]
    core.provider.before_answering = lambda: setattr(core.ownership, "is_ours", False)
    pipeline, body = core.pipeline(), body_of()
    ending = await pipeline.handle(_delivery(body))
    assert isinstance(ending, LetGo)
    assert core.publisher.topics_held() == [_STARTED, _FAILURE, _COST]
    assert data_of(core.publisher.held[-1].value)["cost_estimate_usd"] == 0.5

    core.ownership.is_ours = True
    core.publisher.held.clear()
    core.provider.before_answering = lambda: None
    assert isinstance(await pipeline.handle(_delivery(body)), Completed)
    *_, cost, _, _, result = core.publisher.held
    assert (cost.topic, result.topic) == (_COST, RESULT_TOPIC)
    # What was paid before it was let go is told by its own event; the result cannot know the sum.
    said = data_of(result.value)
    assert (said["attempts"], said["cost_known"]) == (1, False)


async def test_each_attempt_is_told_with_events_of_its_own_and_the_result_with_their_sum(
    core: Core,
) -> None:
    malformed = MalformedAnswerError(
        "no winner", answer="tie", billing=Billing(cost_usd=Decimal("0.25"))
    )
    core.provider.next_answers = [ProviderDownError("503"), malformed]
    core.provider.answer = completion_of(cost_usd=Decimal("0.5"))
    assert isinstance(await core.pipeline().handle(_delivery()), Completed)
    held = core.publisher.held
    assert core.publisher.topics_held() == [
        *[_STARTED] * 3,
        *[_FAILURE, _FAILURE, _COST, _COST],
        *[_MISS, _COMPLETED, RESULT_TOPIC],
    ]
    assert len({read_event(record.value)["event_id"] for record in held}) == len(held)
    costs = [data_of(record.value) for record in held if record.topic == _COST]
    assert [(cost["attempt"], cost["cost_estimate_usd"]) for cost in costs] == [(2, 0.25), (3, 0.5)]
    result = data_of(held[-1].value)
    assert (result["attempts"], result["cost_estimate"], result["cost_known"]) == (3, 0.75, True)


async def test_call_that_is_cancelled_leaves_only_its_start_behind(core: Core) -> None:
    core.provider = FakeProvider(None)
    task = asyncio.ensure_future(core.pipeline().handle(_delivery()))
    await core.provider.called.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert [record.topic for record in core.publisher.sent] == [_STARTED]


async def test_defect_of_a_provider_is_answered_and_dead_lettered(core: Core) -> None:
    core.attempts_at_most = 1
    core.provider.answer = ZeroDivisionError()
    ending = await core.pipeline().handle(_delivery())
    assert isinstance(ending, Failed)
    *_, letter, result = core.publisher.held
    assert letter.topic == DEAD_LETTER_TOPIC
    assert dict(letter.headers)["dlq.spent_usd"] == b"unknown"
    assert error_code_of(result.value) == "EXTERNAL_SERVICE_ERROR"
    assert not data_of(result.value)["cost_known"]


async def test_defect_of_our_own_is_answered_and_dead_lettered(core: Core) -> None:
    core.cache.defect = ZeroDivisionError()
    delivery = _delivery()
    assert isinstance(await core.pipeline().handle(delivery), Failed)
    assert core.publisher.topics_held() == [_COMPLETED, DEAD_LETTER_TOPIC, RESULT_TOPIC]
    assert error_code_of(core.publisher.held[-1].value) == "UNKNOWN_ERROR"
    [(where, what)] = core.telemetry.faults
    assert (where, type(what)) == (delivery, ZeroDivisionError)


def _refuses(*topics: str, why: Refusal, above: int = 0) -> FakePublisher:
    def refuse(record: Record) -> Refusal | None:
        if record.topic in topics and len(record.value or b"") > above:
            return why
        return None

    return FakePublisher(refuse=refuse)


async def test_result_that_is_too_large_loses_its_metadata(core: Core) -> None:
    core.publisher = _refuses(RESULT_TOPIC, why=Refusal.TOO_LARGE, above=3_000)
    await core.pipeline().handle(_delivery(metadata={"big": "x" * 5_000}))
    data = data_of(core.publisher.held[-1].value)
    assert data["winner"] == "Essay A"
    assert data["request_metadata"].keys() == {"prompt_sha256", "metadata_dropped"}
    assert core.telemetry.refusals == []


async def test_result_that_is_still_too_large_loses_its_words(core: Core) -> None:
    core.provider.answer = completion_of(justification="word " * 99)
    core.publisher = _refuses(RESULT_TOPIC, why=Refusal.TOO_LARGE, above=1_300)
    await core.pipeline().handle(_delivery())
    assert len(data_of(core.publisher.held[-1].value)["justification"]) <= 80


async def test_result_that_its_topic_refuses_goes_to_the_default_one_and_says_so(
    core: Core,
) -> None:
    core.reply_topics.usable.add(_REPLY_TOPIC)
    core.publisher = _refuses(_REPLY_TOPIC, why=Refusal.NOT_DELIVERABLE)
    await core.pipeline().handle(_delivery(callback_topic=_REPLY_TOPIC))
    result = core.publisher.held[-1]
    assert (result.topic, result.is_own) == (RESULT_TOPIC, True)
    assert dict(result.headers)["undeliverable_to"] == _REPLY_TOPIC.encode()
    assert result.value == core.publisher.refused[0].value


async def test_dead_letter_that_is_too_large_is_kept_without_its_value(core: Core) -> None:
    core.publisher = _refuses(DEAD_LETTER_TOPIC, why=Refusal.TOO_LARGE, above=100)
    await core.pipeline().handle(_delivery(b"{" * 200))
    [letter] = core.publisher.held
    assert letter.value == b""
    assert dict(letter.headers)["dlq.value_dropped"].startswith(b"200 bytes, sha256 ")  # type: ignore[union-attr] # it has a value


async def test_event_that_is_refused_in_every_form_is_reported_and_holds_up_nothing(
    core: Core,
) -> None:
    core.publisher = _refuses(_COST, why=Refusal.TOO_LARGE)
    assert isinstance(await core.pipeline().handle(_delivery()), Completed)
    assert core.publisher.topics_held() == [_STARTED, _MISS, _COMPLETED, RESULT_TOPIC]
    [(record, refusal)] = core.telemetry.refusals
    assert (record.topic, refusal) == (_COST, Refusal.TOO_LARGE)


async def test_cost_event_tells_the_lane(core: Core) -> None:
    delivery = replace(_delivery(), lane=Lane.BULK)
    await core.pipeline().handle(delivery)
    [cost] = [record for record in core.publisher.held if record.topic == _COST]
    assert data_of(cost.value)["metadata"]["lane"] == "bulk"
