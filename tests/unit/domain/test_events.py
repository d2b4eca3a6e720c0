from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid5

from llm_worker.contracts.events import (
    LLMCostTrackingV1,
    LLMProviderFailureV1,
    LLMRequestCompletedV1,
    LLMRequestStartedV1,
)
from llm_worker.contracts.result import LLMComparisonResultV1
from llm_worker.contracts.vocabulary import FailureType, TopicName
from llm_worker.domain.attempt_events import attempt_events, started_event
from llm_worker.domain.errors import (
    DeadlinePassedError,
    MalformedAnswerError,
    ProviderDownError,
    ProviderTimeoutError,
    RateLimitedError,
    UnreachableError,
    UnreadableError,
)
from llm_worker.domain.event import DeadLetter, Event
from llm_worker.domain.events import events_of
from llm_worker.domain.outcome import BreakerMove, FinishedAttempt, Rejected, Repair
from llm_worker.domain.verdict import Billing, CallFacts
from tests.support.builders import (
    NOW,
    attempt_of,
    codec_of,
    completed_of,
    completion_of,
    delivery_of,
    failed_of,
    request_of,
)

if TYPE_CHECKING:
    from llm_worker.domain.errors import ProviderError
    from llm_worker.domain.outcome import Outcome
    from llm_worker.domain.verdict import Completion

_REPAIR = Repair(answer="Both are fine.", fault="it names no winner")


def _kinds(found: list[Event | DeadLetter]) -> list[str]:
    return [event.topic if isinstance(event, Event) else "dead_letter" for event in found]


def _event_of(outcome: Outcome, topic: str) -> Event:
    [found] = [
        each for each in events_of(outcome) if isinstance(each, Event) and each.topic == topic
    ]
    return found


def _ids(found: list[Event | DeadLetter]) -> list[str]:
    return [str(event.event_id) for event in found if isinstance(event, Event)]


def test_events_of_a_verdict_end_with_its_result() -> None:
    found = list(events_of(completed_of(request_of(), attempt_of(completion_of()))))
    assert _kinds(found) == ["cost_tracking", "request_completed", "comparison_result"]


def test_events_of_a_failure_hold_a_dead_letter_and_end_with_the_result() -> None:
    error = ProviderTimeoutError("late", billing=Billing())
    found = list(events_of(failed_of(request_of(), error, attempt_of(error))))
    assert _kinds(found) == [
        "provider_failure",
        "cost_tracking",
        "request_completed",
        "dead_letter",
        "comparison_result",
    ]


def test_attempt_that_was_not_billed_has_no_cost_event() -> None:
    error = ProviderDownError("503", facts=CallFacts(http_status=503))
    found = list(events_of(failed_of(request_of(), error, attempt_of(error))))
    assert "provider_failure" in _kinds(found)
    assert "cost_tracking" not in _kinds(found)


def test_each_billed_attempt_has_a_cost_event_of_its_own() -> None:
    late = ProviderTimeoutError("late", billing=Billing())
    bought = completion_of(cost_usd=Decimal("0.5"))
    outcome = completed_of(request_of(), attempt_of(late), attempt_of(bought, number=2))
    costs = [
        event.data
        for event in events_of(outcome)
        if isinstance(event, Event) and isinstance(event.data, LLMCostTrackingV1)
    ]
    assert [(cost.attempt, cost.outcome) for cost in costs] == [(1, "failure"), (2, "success")]
    assert [(cost.cost_estimate_usd, cost.cost_known) for cost in costs] == [
        (Decimal(0), False),
        (Decimal("0.5"), True),
    ]
    assert costs[0].token_usage == {}


def test_ids_of_a_request_are_drawn_from_the_request_and_of_an_attempt_from_the_attempt() -> None:
    request = request_of()
    error = ProviderTimeoutError("late", billing=Billing())
    finished = attempt_of(error)
    by_kind = {
        event.topic: event.event_id
        for event in events_of(failed_of(request, error, finished))
        if isinstance(event, Event)
    }
    attempt_id = finished.attempt.attempt_id
    assert by_kind == {
        TopicName.PROVIDER_FAILURE: uuid5(attempt_id, "provider_failure"),
        TopicName.COST_TRACKING: uuid5(attempt_id, "cost_tracking"),
        TopicName.REQUEST_COMPLETED: uuid5(request.request_id, "request_completed"),
        TopicName.COMPARISON_RESULT: uuid5(request.request_id, "comparison_result"),
    }
    started = started_event(request, finished.attempt)
    assert started.event_id == uuid5(attempt_id, "request_started")


def test_event_published_again_has_its_old_id() -> None:
    outcome = completed_of(request_of(), attempt_of(completion_of()))
    assert _ids(list(events_of(outcome))) == _ids(list(events_of(outcome)))


def test_second_purchase_for_one_request_has_new_ids_where_money_is_told() -> None:
    request = request_of()
    first = _ids(list(events_of(completed_of(request, attempt_of(completion_of())))))
    second = _ids(list(events_of(completed_of(request, attempt_of(completion_of())))))
    assert first[0] != second[0]
    assert first[1:] == second[1:]


def test_start_names_provider_user_and_attempt() -> None:
    request = request_of(user_id="u1")
    data = started_event(request, attempt_of(completion_of(), number=2).attempt).data
    assert isinstance(data, LLMRequestStartedV1)
    assert (data.provider, data.user_id) == ("mock", "u1")
    assert (data.metadata["attempt"], data.metadata["model"]) == (2, "mock-judge-1")


def test_failure_event_says_what_kind_it_was() -> None:
    error = ProviderDownError("503", facts=CallFacts(http_status=503))
    [event, *_] = events_of(failed_of(request_of(), error, attempt_of(error)))
    assert isinstance(event, Event)
    assert isinstance(event.data, LLMProviderFailureV1)
    assert event.data.failure_type is FailureType.SERVICE_UNAVAILABLE
    assert event.data.metadata["http_status"] == 503


def test_completion_event_tells_unknown_cost_from_none() -> None:
    outcome = completed_of(request_of(), attempt_of(completion_of(cost_usd=None)))
    [completed] = [
        event.data
        for event in events_of(outcome)
        if isinstance(event, Event) and isinstance(event.data, LLMRequestCompletedV1)
    ]
    assert completed.success
    assert completed.cost_estimate == 0
    assert completed.metadata["cost_known"] is False


def test_completion_event_tells_of_what_request_and_why_there_is_no_verdict() -> None:
    request = request_of(user_id="u1", organization_id="school")
    error = ProviderTimeoutError("late", billing=Billing(cost_usd=Decimal(1)))
    data = _event_of(failed_of(request, error, attempt_of(error)), "request_completed").data
    assert isinstance(data, LLMRequestCompletedV1)
    assert (data.success, data.request_type, data.error_message) == (False, "comparison", "late")
    assert data.metadata == {
        "cached": False,
        "model": "mock-judge-1",
        "attempts": 1,
        "cost_known": True,
        "request_id": str(request.request_id),
        "organization_id": "school",
        "user_id": "u1",
        "lane": "normal",
    }
    bought = _event_of(completed_of(request), "request_completed").data
    assert isinstance(bought, LLMRequestCompletedV1)
    assert (bought.success, bought.error_message) == (True, None)


def test_events_of_a_request_carry_its_correlation_and_trace_and_when_it_ended() -> None:
    request = replace(request_of(), trace={"traceparent": "00-a-b-01"})
    error = DeadlinePassedError("too late")
    completed_at = NOW + timedelta(seconds=3)
    outcome = replace(failed_of(request, error), completed_at=completed_at, is_cache_miss=True)
    found = list(events_of(outcome))
    [letter] = [event for event in found if isinstance(event, DeadLetter)]
    assert (letter.delivery, letter.error) == (request.delivery, error)
    assert letter.timestamp == completed_at
    events = [event for event in found if isinstance(event, Event)]
    assert len(events) == 3
    for event in events:
        assert event.correlation_id == request.correlation_id
        assert (event.trace, event.timestamp) == (request.trace, completed_at)
    assert isinstance(events[-1].data, LLMComparisonResultV1)
    assert events[-1].data.error_detail is not None


def test_result_goes_where_the_caller_wants_it() -> None:
    request = request_of(callback_topic="huleedu.cj.results.v1")
    *_, result = events_of(completed_of(request))
    assert isinstance(result, Event)
    assert result.reply_topic == "huleedu.cj.results.v1"
    assert isinstance(result.data, LLMComparisonResultV1)


def test_request_that_nobody_was_asked_for_cost_nothing() -> None:
    error = DeadlinePassedError("too late")
    found = list(events_of(failed_of(request_of(), error)))
    assert _kinds(found) == ["request_completed", "dead_letter", "comparison_result"]
    [letter] = [event for event in found if isinstance(event, DeadLetter)]
    assert (letter.attempts, letter.spent_usd) == (0, Decimal(0))


def test_dead_letter_says_when_what_was_spent_is_unknown() -> None:
    error = ProviderTimeoutError("late", billing=Billing())
    found = list(events_of(failed_of(request_of(), error, attempt_of(error))))
    [letter] = [event for event in found if isinstance(event, DeadLetter)]
    assert (letter.attempts, letter.spent_usd) == (1, None)


def test_rejection_is_answered_where_somebody_can_be_and_set_aside_elsewhere() -> None:
    rejected = codec_of().decode(delivery_of(b"no json"))
    assert isinstance(rejected, Rejected)
    [letter] = events_of(rejected)
    assert isinstance(letter, DeadLetter)
    assert isinstance(letter.error, UnreadableError)
    assert (letter.delivery, letter.timestamp) == (rejected.delivery, rejected.completed_at)
    assert (letter.attempts, letter.spent_usd) == (0, Decimal(0))

    key = b"5f0c6f4e-64a8-4d7c-8f0d-6a4a8c0a9f11"
    answerable = codec_of().decode(delivery_of(b"no json", key=key))
    assert isinstance(answerable, Rejected)
    trace = {"traceparent": "00-a-b-01"}
    answerable = replace(answerable, trace=trace, reply_topic="huleedu.cj.results.v1")
    [answer] = events_of(answerable)
    assert isinstance(answer, Event)
    assert isinstance(answer.data, LLMComparisonResultV1)
    assert (answer.topic, answer.reply_topic) == ("comparison_result", "huleedu.cj.results.v1")
    assert (answer.timestamp, answer.trace) == (answerable.completed_at, trace)
    assert answer.event_id == uuid5(answerable.event_namespace, "comparison_result")
    assert str(answer.correlation_id).encode() == key


def _started(**attempt: object) -> dict[str, object]:
    finished = attempt_of(completion_of())
    changed = replace(finished.attempt, **attempt)  # type: ignore[arg-type] # fields of an attempt
    data = started_event(request_of(), changed).data
    assert isinstance(data, LLMRequestStartedV1)
    return data.metadata


def _failure_of(finished: FinishedAttempt) -> LLMProviderFailureV1:
    [event, *_] = attempt_events(request_of(), [finished])
    assert isinstance(event.data, LLMProviderFailureV1)
    return event.data


def _cost_of(ending: Completion | ProviderError, repair: Repair | None = None) -> LLMCostTrackingV1:
    finished = attempt_of(ending)
    finished = replace(finished, attempt=replace(finished.attempt, repair=repair))
    [cost] = [
        event.data
        for event in attempt_events(request_of(), [finished])
        if isinstance(event.data, LLMCostTrackingV1)
    ]
    return cost


def test_start_says_when_it_is_the_probe_of_an_open_breaker() -> None:
    assert _started(is_probe=True)["circuit_breaker"] == "half_open"
    assert "circuit_breaker" not in _started()


def test_start_says_when_it_asks_for_a_malformed_answer_again() -> None:
    assert _started(repair=_REPAIR)["repair"] is True
    assert "repair" not in _started()


def test_failure_event_says_whether_it_opened_the_breaker() -> None:
    finished = attempt_of(ProviderDownError("503", facts=CallFacts(http_status=503)))
    assert not _failure_of(finished).circuit_breaker_opened
    assert _failure_of(replace(finished, breaker_move=BreakerMove.OPENED)).circuit_breaker_opened
    assert not _failure_of(
        replace(finished, breaker_move=BreakerMove.CLOSED)
    ).circuit_breaker_opened


def test_failure_event_tells_what_the_provider_said_of_the_call() -> None:
    facts = CallFacts(http_status=429, provider_request_id="req_011")
    metadata = _failure_of(
        attempt_of(RateLimitedError("slow down", retry_after_s=20.0, facts=facts))
    ).metadata
    assert (metadata["provider_request_id"], metadata["retry_after"]) == ("req_011", 20.0)


def test_failure_event_says_whether_the_provider_may_have_received_the_call() -> None:
    never = UnreachableError("refused")
    answered = ProviderDownError("503", facts=CallFacts(http_status=503))
    perhaps = ProviderTimeoutError("late", billing=Billing())
    sent = [_failure_of(attempt_of(error)).metadata["sent"] for error in (never, answered, perhaps)]
    assert sent == [False, True, True]


def test_cost_event_names_the_providers_own_id_of_the_call() -> None:
    bought = replace(completion_of(), facts=CallFacts(provider_request_id="req_012"))
    assert _cost_of(bought).metadata["provider_request_id"] == "req_012"
    failed = MalformedAnswerError(
        "no winner", billing=Billing(), facts=CallFacts(provider_request_id="req_013")
    )
    assert _cost_of(failed).metadata["provider_request_id"] == "req_013"


def test_cost_event_says_when_it_is_of_a_repair() -> None:
    assert _cost_of(completion_of(), _REPAIR).metadata["repair"] is True
    assert "repair" not in _cost_of(completion_of()).metadata


def test_completion_event_says_when_a_probe_closed_a_breaker() -> None:
    def metadata(finished: FinishedAttempt) -> dict[str, object]:
        [data] = [
            event.data
            for event in events_of(completed_of(request_of(), finished))
            if isinstance(event, Event) and isinstance(event.data, LLMRequestCompletedV1)
        ]
        return data.metadata

    finished = attempt_of(completion_of())
    closing = replace(finished, breaker_move=BreakerMove.CLOSED)
    assert metadata(closing)["circuit_breaker_closed"] is True
    assert "circuit_breaker_closed" not in metadata(finished)


def test_no_event_quotes_a_malformed_answer() -> None:
    error = MalformedAnswerError("no winner", answer="My essay was on dogs.", billing=Billing())
    finished = attempt_of(error)
    repaired = replace(finished, attempt=replace(finished.attempt, repair=_REPAIR))
    request = request_of()
    told = [started_event(request, repaired.attempt), *attempt_events(request, [repaired])]
    assert not [event for event in told if "dogs" in event.data.model_dump_json()]
    assert not [event for event in told if _REPAIR.answer in event.data.model_dump_json()]
