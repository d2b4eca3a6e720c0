"""What a storm is drawn from, and what it is judged by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from llm_worker.contracts.vocabulary import TopicName
from tests.chaos.evidence import Call, Evidence, Sample, Seen, Sent
from tests.chaos.storm_bills import Bill, HttpAnswer, unpaid_bills, wrong_answers
from tests.chaos.storm_excuses import (
    Absence,
    Interruption,
    Troubles,
    excuse,
    told_absences,
)
from tests.chaos.storm_judgement import repeated_alerts
from tests.chaos.storm_schedule import Fault, Lane, by_lane, lane_of, schedule, sparse_schedule

_TEN_MINUTES_S = 600


def test_same_seed_is_the_same_storm_and_another_one_another() -> None:
    storms = [schedule(seed, length_s=_TEN_MINUTES_S, nodes=3) for seed in (7, 7, 8)]
    assert storms[0] == storms[1] != storms[2]


@pytest.mark.parametrize("seed", range(20))
def test_storm_of_ten_minutes_leaves_no_fault_out(seed: int) -> None:
    planned = schedule(seed, length_s=_TEN_MINUTES_S, nodes=3)
    assert {each.fault for each in planned} == {*Fault}
    assert {lane_of(each.fault) for each in planned} == {*Lane}


@pytest.mark.parametrize("length_s", [60, _TEN_MINUTES_S])
def test_faults_of_a_lane_follow_each_other_and_all_end_in_time(length_s: float) -> None:
    for lane in by_lane(schedule(3, length_s=length_s, nodes=3)).values():
        free_s = 0.0
        for each in lane:
            assert each.at_s >= free_s
            free_s = each.at_s + each.for_s
        assert free_s <= length_s


def test_one_broker_alone_moves_no_leaders() -> None:
    alone = schedule(3, length_s=_TEN_MINUTES_S, nodes=1)
    assert Fault.LEADERS_MOVED not in {each.fault for each in alone}
    assert Fault.BROKER_KILLED in {each.fault for each in alone}


def test_soak_of_an_hour_has_every_fault_that_leaves_somebody_running() -> None:
    planned = sparse_schedule(1, length_s=3_600, nodes=3)
    assert {*Fault} - {each.fault for each in planned} == {Fault.ROLLING_RESTART, Fault.SCALED}
    for each, later in pairwise(planned):
        assert each.at_s + each.for_s + 60 < later.at_s
    assert planned[-1].at_s + planned[-1].for_s + 60 < 3_600


_REQUEST, _MARK, _FIRST, _SECOND = (str(uuid4()) for _ in range(4))
_SENT = Sent(mark=_MARK, event_id=_REQUEST, correlation_id=_REQUEST, prompt_sha256="a hash")
_AT = datetime(2026, 11, 23, tzinfo=UTC)
_CALL = Call(request_id=_REQUEST, attempt_id=_FIRST, prompt_sha256="a hash", pid=1, at=_AT)
_AGAIN = replace(_CALL, attempt_id=_SECOND, pid=2, at=_AT + timedelta(seconds=30))
_KILLED = Interruption(pid=1, at=_AT + timedelta(seconds=2))
_AWAY = Absence(begin=_AT + timedelta(seconds=10), end=_AT + timedelta(seconds=11))


def _seen(kind: TopicName, event_id: str, data: dict[str, Any]) -> Seen:
    return Seen(
        kind=kind,
        place=(kind, 0),
        offset=0,
        key=_REQUEST.encode(),
        headers=(),
        envelope={"event_id": event_id, "data": data},
    )


def _of_attempt(kind: TopicName, attempt: str, **data: object) -> Seen:
    metadata = {"request_id": _REQUEST, "provider_request_id": f"call {attempt}"}
    shown = {"metadata": metadata, "provider": "openai", "cached": False, "cost_known": True}
    shown["token_usage"] = {"completion_tokens": 9}
    return _seen(kind, str(uuid5(UUID(attempt), kind)), shown | data)


def _cost(attempt: str, outcome: str = "success", **data: object) -> Seen:
    return _of_attempt(TopicName.COST_TRACKING, attempt, outcome=outcome, **data)


_RESULT = _seen(
    TopicName.COMPARISON_RESULT,
    str(uuid5(UUID(_REQUEST), TopicName.COMPARISON_RESULT)),
    {
        "request_id": _REQUEST,
        "correlation_id": _REQUEST,
        "winner": "Essay A",
        "justification": "It says more.",
        "attempts": 1,
        "error_detail": None,
        "request_metadata": {"mark": _MARK, "prompt_sha256": "a hash"},
    },
)
_BESIDE = (
    _of_attempt(TopicName.REQUEST_STARTED, _SECOND),
    _of_attempt(TopicName.REQUEST_STARTED, _FIRST),
    _seen(
        TopicName.REQUEST_COMPLETED,
        str(uuid5(UUID(_REQUEST), TopicName.REQUEST_COMPLETED)),
        {"metadata": {"request_id": _REQUEST}},
    ),
)
_SAMPLE = Sample(committed={}, ends={})


def _bought_twice(*costs: Seen) -> Evidence:
    return Evidence(
        sent=(_SENT,),
        calls=(_CALL, _AGAIN),
        seen=(*_BESIDE, *costs, _RESULT),
        samples=(_SAMPLE,),
    )


def _troubles(*, killed: bool = False, away: bool = False) -> Troubles:
    return Troubles(
        interruptions=[_KILLED] if killed else [],
        absences=[_AWAY] if away else [],
        call_s=8,
        takeover_s=60,
    )


_UNKNOWN = _bought_twice(_cost(_FIRST, "unknown"), _cost(_SECOND))
_BOTH_KNOWN = _bought_twice(_cost(_FIRST), _cost(_SECOND))
_FIRST_UNTOLD = _bought_twice(_cost(_SECOND))


def test_call_that_ran_at_a_kill_may_be_bought_again_once_told_as_unknown() -> None:
    excused = excuse("a storm", _UNKNOWN, _troubles(killed=True))
    excused.report.require()
    assert (excused.by_interruption, excused.most_of_one_interruption) == (1, 1)


@pytest.mark.parametrize(
    ("evidence", "troubles", "name"),
    [
        (_UNKNOWN, _troubles(), "bought_twice 1"),
        (_BOTH_KNOWN, _troubles(killed=True), "bought_twice 1"),
        (_FIRST_UNTOLD, _troubles(killed=True), "untold 1"),
        (_BOTH_KNOWN, _troubles(), "bought_twice 1"),
    ],
    ids=["nobody was killed", "told as successes", "untold", "for no reason"],
)
def test_purchase_that_nothing_excuses_is_found(
    evidence: Evidence, troubles: Troubles, name: str
) -> None:
    with pytest.raises(AssertionError, match=name):
        excuse("a storm", evidence, troubles).report.require()


@pytest.mark.parametrize("evidence", [_BOTH_KNOWN, _FIRST_UNTOLD], ids=["twice", "untold"])
def test_what_redis_did_not_know_between_the_calls_may_be_bought_again(evidence: Evidence) -> None:
    excused = excuse("a storm", evidence, _troubles(away=True))
    excused.report.require()
    assert excused.requests_without_redis == {_REQUEST}


def test_absence_of_redis_excuses_no_lost_request() -> None:
    lost = replace(_BOTH_KNOWN, seen=(*_BESIDE, _cost(_FIRST), _cost(_SECOND)))
    with pytest.raises(AssertionError, match="lost 1"):
        excuse("a storm", lost, _troubles(away=True)).report.require()


def test_log_tells_when_redis_was_left_alone() -> None:
    lines = [
        f'{{"event":"redis_breaker","state":"{state}","timestamp":"2026-11-23T00:00:{second}Z"}}'
        for state, second in (("open", 10), ("half_open", 11), ("open", 12), ("closed", 20))
    ]
    [absence] = told_absences(['{"event":"delivery"}', *lines, "no JSON"])
    assert absence.begin < _AT + timedelta(seconds=10)
    assert absence.end == _AT + timedelta(seconds=20)
    [open_still] = told_absences(lines[:1])
    assert open_still.end > _AT + timedelta(days=1)


_BILLS = [
    Bill(provider="openai", mark=_MARK, call_id=f"call {attempt}", completion_tokens=9)
    for attempt in (_FIRST, _SECOND)
]


@pytest.mark.parametrize(
    ("costs", "bills", "words"),
    [
        ((_cost(_FIRST), _cost(_SECOND)), _BILLS, None),
        ((_cost(_FIRST, "unknown", cost_known=False), _cost(_SECOND)), _BILLS, None),
        ((_cost(_SECOND),), _BILLS, "is told nowhere"),
        ((_cost(_FIRST), _cost(_SECOND)), _BILLS[:1], "was never asked"),
        (
            (_cost(_FIRST), _cost(_SECOND, token_usage={"completion_tokens": 8})),
            _BILLS,
            "cost 9 tokens, not told so",
        ),
    ],
    ids=["told", "unknown", "untold", "made up", "wrong"],
)
def test_each_bill_is_told_as_it_is_or_as_unknown(
    costs: tuple[Seen, ...], bills: list[Bill], words: str | None
) -> None:
    found = list(unpaid_bills(_bought_twice(*costs), bills))
    assert len(found) == (words is not None)
    assert words is None or words in found[0]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({_MARK: HttpAnswer(winner="Essay A", justification="It says more.")}, None),
        ({_MARK: HttpAnswer(winner="Essay B", justification="It says more.")}, "otherwise"),
        ({_MARK: HttpAnswer(error_code="TIMEOUT")}, "otherwise"),
        ({}, "no answer"),
    ],
    ids=["same", "other verdict", "error", "none"],
)
def test_caller_over_http_is_told_what_stands_on_kafka(
    answers: dict[str, HttpAnswer], words: str | None
) -> None:
    found = list(wrong_answers(_BOTH_KNOWN, answers, [_MARK]))
    assert len(found) == (words is not None)
    assert words is None or words in found[0]


@pytest.mark.parametrize(
    ("times", "freezes", "is_told"),
    [
        ([0], [], False),
        ([0, 1], [], True),
        ([0, 35], [(20, 33)], False),
        ([18, 30], [(20, 33)], False),
        ([0, 50], [(20, 33)], True),
        ([0, 1, 35], [(20, 33)], True),
        ([0, 34, 35], [(20, 33)], True),
    ],
)
def test_alert_is_told_again_only_by_an_accountant_that_froze_as_it_was_about_to(
    times: list[int], freezes: list[tuple[int, int]], *, is_told: bool
) -> None:
    def at(second: int) -> datetime:
        return _AT + timedelta(seconds=second)

    spans = [Absence(begin=at(begin), end=at(end)) for begin, end in freezes]
    assert bool(list(repeated_alerts({"a": [*map(at, times)]}, spans))) == is_told
