"""What is noted of attempts, and told of those that a dead process made."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID, uuid5

import pytest

from llm_worker.domain.claim import LeftBehind
from llm_worker.domain.delivery import Record
from llm_worker.domain.errors import ProviderDownError, ProviderTimeoutError
from llm_worker.domain.outcome import Attempt, Completed, Failed, LetGo, Rejected
from llm_worker.domain.verdict import Billing, CallFacts
from tests.support.builders import NOW, RESULT_TOPIC, TARGET, hit_of
from tests.support.claims import COST_TOPIC, ClaimsBench
from tests.support.wire import data_of, error_code_of, read_event

_STARTED = "huleedu.llm_provider.request_started.v1"
_FAILURE = "huleedu.llm_provider.failure.v1"
_LOST = Attempt(attempt_id=UUID(int=5), number=1, target=TARGET, started_at=NOW)
_TOLD = Record(topic=_FAILURE, key=b"k", value=b"as it was noted", headers=())


@pytest.fixture
def bench() -> ClaimsBench:
    return ClaimsBench()


async def test_what_a_dead_process_left_is_told_before_anything_is_bought(
    bench: ClaimsBench,
) -> None:
    bench.store.claimings = [bench.claim(LeftBehind(attempt=_LOST, records=(_TOLD,), is_paid=True))]
    held_before: list[Record] = []
    publisher = bench.core.publisher
    bench.core.provider.before_answering = lambda: held_before.extend(publisher.held)
    assert isinstance(await bench.handle(), Completed)

    told, lost = held_before
    assert told == _TOLD
    assert read_event(lost.value)["event_id"] == str(uuid5(_LOST.attempt_id, "cost_tracking"))
    assert data_of(lost.value)["outcome"] == "unknown"
    assert data_of(lost.value)["cost_known"] is False
    assert bench.core.telemetry.lost == [_LOST]
    result = data_of(publisher.held[-1].value)
    assert (result["cost_known"], result["attempts"]) == (False, 1)


async def test_hit_after_a_call_of_unknown_end_has_no_known_cost(bench: ClaimsBench) -> None:
    bench.core.cache.known = hit_of()
    bench.store.claimings = [bench.claim(LeftBehind(attempt=_LOST, is_paid=True))]
    assert isinstance(await bench.handle(), Completed)
    assert [cost["outcome"] for cost in bench.costs()] == ["unknown", "cached"]
    assert data_of(bench.core.publisher.held[-1].value)["cost_known"] is False


async def test_nothing_is_told_twice_of_a_claim_that_nobody_left(bench: ClaimsBench) -> None:
    assert isinstance(await bench.handle(), Completed)
    assert bench.core.telemetry.lost == []
    assert [cost["outcome"] for cost in bench.costs()] == ["success"]


@pytest.mark.parametrize("is_billed", [True, False])
async def test_failed_attempt_is_noted_with_the_records_that_tell_of_it(
    bench: ClaimsBench, *, is_billed: bool
) -> None:
    paid = ProviderTimeoutError("late", billing=Billing(cost_usd=Decimal("0.5")))
    free = ProviderDownError("503", facts=CallFacts(http_status=503))
    bench.core.provider.answer = paid if is_billed else free
    assert isinstance(await bench.handle(), Failed)
    [(records, is_paid)] = bench.store.noted
    assert is_paid is is_billed
    assert [record.topic for record in records] == [_FAILURE, COST_TOPIC][: 1 + is_billed]
    assert set(records) <= set(bench.core.publisher.held)  # the very bytes
    assert bench.store.steps == ["claim", "begins", "ended", "keep", "published"]


async def test_attempt_that_gave_a_verdict_is_told_with_the_outcome_alone(
    bench: ClaimsBench,
) -> None:
    await bench.handle()
    assert bench.store.noted == []
    assert bench.store.steps == ["claim", "begins", "keep", "published"]


async def test_note_of_a_free_failure_does_not_forget_what_a_dead_process_paid(
    bench: ClaimsBench,
) -> None:
    # If this process dies too, only the note tells the third one.
    bench.store.claimings = [bench.claim(LeftBehind(attempt=_LOST, is_paid=True))]
    bench.core.provider.answer = ProviderDownError("503", facts=CallFacts(http_status=503))
    await bench.handle()
    assert [is_paid for _, is_paid in bench.store.noted] == [True]


async def test_attempt_is_noted_before_it_is_announced_and_made(bench: ClaimsBench) -> None:
    seen: list[tuple[list[str], list[str]]] = []
    publisher, store = bench.core.publisher, bench.store
    bench.core.provider.before_answering = lambda: seen.append(
        (list(store.steps), [record.topic for record in publisher.sent])
    )
    await bench.handle()
    assert seen == [(["claim", "begins"], [_STARTED])]
    [(_, attempt)] = bench.core.provider.calls
    assert store.begun == [attempt]


@pytest.mark.parametrize("was_paid", [True, False])
async def test_delivery_that_is_let_go_gives_its_claim_back_with_what_was_paid(
    bench: ClaimsBench, *, was_paid: bool
) -> None:
    claim = bench.claim(LeftBehind(is_paid=was_paid))
    bench.store.claimings = [claim]
    bench.core.ownership.is_ours = False
    assert isinstance(await bench.handle(), LetGo)
    assert bench.store.released == [(claim, was_paid)]
    assert "keep" not in bench.store.steps


async def test_claim_is_given_back_with_what_this_process_paid(bench: ClaimsBench) -> None:
    bench.core.provider.answer = ProviderTimeoutError("late", billing=Billing())
    orchestrator = replace(bench.pipeline.orchestrator, attempts_at_most=2)
    bench.pipeline = replace(bench.pipeline, orchestrator=orchestrator)
    ownership = bench.core.ownership
    bench.core.provider.before_answering = lambda: setattr(ownership, "is_ours", False)
    assert isinstance(await bench.handle(), LetGo)
    assert [is_paid for _, is_paid in bench.store.released] == [True]
    assert bench.core.publisher.topics_held() == [_STARTED, _FAILURE, COST_TOPIC]


async def test_claim_of_an_unanswerable_request_is_given_back(bench: ClaimsBench) -> None:
    bench.body["data"]["callback_topic"] = "huleedu.nowhere"
    bench.store.claimings = [claim := bench.claim(LeftBehind(is_paid=True))]
    assert isinstance(await bench.handle(), Rejected)
    assert bench.store.released == [(claim, True)]
    assert error_code_of(bench.core.publisher.held[-1].value) == "LLM_INVALID_CALLBACK_TOPIC"


async def test_what_a_dead_process_left_is_told_even_if_the_reply_topic_has_gone(
    bench: ClaimsBench,
) -> None:
    # Giving the claim back forgets the attempt: told now, or never.
    bench.body["data"]["callback_topic"] = "huleedu.nowhere"
    left = LeftBehind(attempt=_LOST, records=(_TOLD,), is_paid=True)
    bench.store.claimings = [bench.claim(left)]
    assert isinstance(await bench.handle(), Rejected)
    assert bench.core.publisher.topics_held() == [_FAILURE, COST_TOPIC, RESULT_TOPIC]
    assert bench.core.telemetry.lost == [_LOST]
