"""The checker finds what it is there to find: sound evidence, broken in one place at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from llm_worker.contracts.vocabulary import TopicName
from tests.chaos.checker import examine
from tests.chaos.evidence import Call, Evidence, Sample, Seen, Sent

_REQUEST, _ATTEMPT, _CORRELATION = str(uuid4()), str(uuid4()), str(uuid4())
_SENT = Sent(mark=_REQUEST, event_id=_REQUEST, correlation_id=_CORRELATION, prompt_sha256="a hash")
_CALL = Call(
    request_id=_REQUEST,
    attempt_id=_ATTEMPT,
    prompt_sha256="a hash",
    pid=1,
    at=datetime(2026, 11, 23, tzinfo=UTC),
)
_OF_ATTEMPT = {"metadata": {"request_id": _REQUEST}, "outcome": "success"}
_RESULT_DATA = {
    "request_id": _REQUEST,
    "correlation_id": _CORRELATION,
    "winner": "Essay A",
    "response_time_ms": 5,
    "attempts": 1,
    "error_detail": None,
    "request_metadata": {"mark": _REQUEST, "prompt_sha256": "a hash"},
}
_REQUESTS = (TopicName.COMPARISON_REQUESTED, 0)
_RESULTS = (TopicName.COMPARISON_RESULT, 0)


def _seen(kind: TopicName, namespace: str, data: dict[str, Any], offset: int = 0) -> Seen:
    is_request = kind is TopicName.COMPARISON_REQUESTED
    event_id = namespace if is_request else str(uuid5(UUID(namespace), kind))
    return Seen(
        kind=kind,
        place=(kind, 0),
        offset=offset,
        key=_CORRELATION.encode(),
        headers=(),
        envelope={"event_id": event_id, "data": data},
    )


_ASKED = _seen(TopicName.COMPARISON_REQUESTED, _REQUEST, {"metadata": {"mark": _REQUEST}})
_RESULT = _seen(TopicName.COMPARISON_RESULT, _REQUEST, _RESULT_DATA)
_COST = _seen(TopicName.COST_TRACKING, _ATTEMPT, _OF_ATTEMPT)
_BESIDE = (
    _seen(TopicName.REQUEST_STARTED, _ATTEMPT, _OF_ATTEMPT),
    _seen(TopicName.REQUEST_COMPLETED, _REQUEST, _OF_ATTEMPT),
    _COST,
)
_BEFORE = Sample(committed={_REQUESTS: 0}, ends={_REQUESTS: 1, _RESULTS: 0})
_AFTER = Sample(committed={_REQUESTS: 1}, ends={_REQUESTS: 1, _RESULTS: 1})
_SOUND = Evidence(
    sent=(_SENT,),
    calls=(_CALL,),
    seen=(_ASKED, *_BESIDE, _RESULT),
    samples=(_BEFORE, _AFTER),
)


def _broken(evidence: Evidence) -> dict[str, int]:
    """Name the invariants that do not hold, with the number of violations."""
    figures = examine("test", evidence).figures()
    told = {"scenario", "requests", "calls", "records", "samples", "answered_again", "flagged"}
    return {
        name: value
        for name, value in figures.items()
        if name not in told and isinstance(value, int) and value
    }


def _with(*more: Seen) -> Evidence:
    return replace(_SOUND, seen=(*_SOUND.seen, *more))


def _without(*dropped: Seen) -> Evidence:
    return replace(_SOUND, seen=tuple(each for each in _SOUND.seen if each not in dropped))


def _answered(event_id: str | None = None, **changed: object) -> Seen:
    envelope = {
        "event_id": event_id or _RESULT.event_id,
        "data": {**_RESULT_DATA, **changed},
    }
    return replace(_RESULT, envelope=envelope, offset=1)


def test_sound_evidence_has_no_violation() -> None:
    assert _broken(_SOUND) == {}
    examine("test", _SOUND).require()


def test_request_without_a_result_is_lost_and_was_committed_too_early() -> None:
    assert _broken(_without(_RESULT)) == {"lost": 1, "committed_too_early": 1}


def test_same_answer_again_is_counted_and_allowed() -> None:
    evidence = _with(_answered(response_time_ms=9))
    assert _broken(evidence) == {}
    assert examine("test", evidence).answered_again == 1


_CALL_AGAIN = replace(_CALL, attempt_id=str(uuid4()))
_COST_AGAIN = _seen(TopicName.COST_TRACKING, _CALL_AGAIN.attempt_id, _OF_ATTEMPT)
_DEARER = _seen(TopicName.COST_TRACKING, _ATTEMPT, {**_OF_ATTEMPT, "cost_estimate_usd": 1})


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        ("answered_differently", _with(_answered(winner="Essay B"))),
        ("answered_differently", _with(_DEARER)),
        ("answered_wrongly", replace(_SOUND, sent=(replace(_SENT, correlation_id="x"),))),
        ("answered_wrongly", replace(_SOUND, sent=(replace(_SENT, prompt_sha256="x"),))),
        ("bought_twice", replace(_with(_COST_AGAIN), calls=(_CALL, _CALL_AGAIN))),
        ("missing_events", _without(_BESIDE[0])),
        ("missing_events", _without(_BESIDE[1])),
        ("left_over", replace(_SOUND, samples=(_BEFORE,))),
    ],
)
def test_violation_is_found_under_its_name(name: str, evidence: Evidence) -> None:
    assert _broken(evidence) == {name: 1}


def test_call_that_failed_before_the_verdict_is_not_bought_twice() -> None:
    failure = _seen(TopicName.PROVIDER_FAILURE, _CALL_AGAIN.attempt_id, _OF_ATTEMPT)
    assert _broken(replace(_with(failure), calls=(_CALL_AGAIN, _CALL))) == {}


def test_call_that_nobody_tells_of_is_found() -> None:
    assert _broken(_without(_COST)) == {"missing_events": 1, "untold": 1}


def test_attempts_of_unknown_outcome_are_counted() -> None:
    unknown = {**_OF_ATTEMPT, "outcome": "unknown"}
    again = _seen(TopicName.COST_TRACKING, _CALL_AGAIN.attempt_id, unknown)
    evidence = replace(_with(again, again), calls=(_CALL, _CALL_AGAIN))
    assert examine("test", evidence).flagged == 1


def test_result_under_another_id_is_found() -> None:
    # Not the one that the request gives it, and not the one that the other has.
    assert _broken(_with(_answered(event_id=str(uuid4())))) == {"wrong_event_ids": 2}


def test_cost_of_an_attempt_that_nobody_made_is_found() -> None:
    stranger = _seen(TopicName.COST_TRACKING, str(uuid4()), _OF_ATTEMPT)
    assert _broken(_with(stranger)) == {"wrong_event_ids": 1}


def test_attempt_that_was_noted_and_never_made_is_of_unknown_outcome() -> None:
    unknown = {**_OF_ATTEMPT, "outcome": "unknown"}
    assert _broken(_with(_seen(TopicName.COST_TRACKING, str(uuid4()), unknown))) == {}


def test_error_of_a_judgement_without_its_dead_letter_is_found() -> None:
    failed = replace(_answered(error_detail={"operation": "judge"}), offset=0)
    evidence = replace(_SOUND, seen=(_ASKED, *_BESIDE, failed))
    assert _broken(evidence) == {"missing_events": 1}


def test_commit_before_the_answer_is_found_although_the_answer_came_later() -> None:
    early = Sample(committed={_REQUESTS: 1}, ends={_REQUESTS: 1, _RESULTS: 0})
    evidence = replace(_SOUND, samples=(_BEFORE, early, _AFTER))
    assert _broken(evidence) == {"committed_too_early": 1}


def test_two_contents_under_one_event_id_are_told_apart() -> None:
    other = str(uuid4())
    refusal = _answered(
        event_id=str(uuid4()),
        attempts=0,
        error_detail={"operation": "accept"},
        request_metadata={"mark": other},
    )
    evidence = replace(_with(refusal), sent=(_SENT, replace(_SENT, mark=other)))
    assert _broken(evidence) == {}
    assert _broken(replace(_SOUND, sent=evidence.sent)) == {"lost": 1}


def test_failure_names_what_was_found() -> None:
    with pytest.raises(AssertionError, match=f"lost 1, allowed 0:\\s+request {_REQUEST}"):
        examine("test", _without(_RESULT)).require()


def test_purchases_are_allowed_up_to_a_bound() -> None:
    report = examine("test", replace(_SOUND, calls=(_CALL, _CALL_AGAIN)))
    report.require(bought_twice=1, untold=1)
    with pytest.raises(AssertionError, match="bought_twice 1, allowed 0"):
        report.require()


def test_report_without_a_sample_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="never sampled"):
        examine("test", replace(_SOUND, samples=())).require()
