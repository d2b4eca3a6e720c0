"""What a storm may double or leave untold, as docs/reliability.md bounds it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import orjson

from llm_worker.contracts.vocabulary import TopicName
from tests.chaos.checker import FLAGS, examine, id_of_attempt, outcomes_told, purchases
from tests.chaos.evidence import calls_by_request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from tests.chaos.checker import Report
    from tests.chaos.evidence import Call, Evidence

_OF_THE_WHOLE: Final = (
    *("requests", "calls", "records", "answered_again", "flagged"),
    *("lost", "answered_wrongly", "committed_too_early", "left_over"),
)
_EXCUSABLE: Final = ("bought_twice", "answered_differently", "untold", "missing_events")


_WAITED: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """A worker was killed, or frozen past its session."""

    pid: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Redis was away, or lost what it held."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """What a storm did that may double a purchase; `call_s` is how long a call may take."""

    interruptions: Sequence[Interruption]
    absences: Sequence[Absence]
    call_s: float
    takeover_s: float
    """How long after an interruption another worker may find what was left."""

    def ran_through(self, call: Call) -> Interruption | None:
        """Give the interruption that befell the call's process while it may have run."""
        limit = timedelta(seconds=self.call_s)
        for each in self.interruptions:
            if each.pid == call.pid and call.at <= each.at <= call.at + limit:
                return each
        return None

    def was_away(self, begin: datetime, end: datetime) -> bool:
        """Say whether Redis was away at any time between."""
        return any(each.begin <= end and begin <= each.end for each in self.absences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excused:
    """A storm's report without what may be, and how much that was.

    `by_interruption` counts the calls that ran when their worker was interrupted and were bought
    again, the most of one interruption; each of them is told as of unknown outcome, or superseded.
    `requests_without_redis` are those that were bought again, or answered otherwise, or untold,
    since Redis was away between their calls.
    """

    report: Report
    by_interruption: int
    most_of_one_interruption: int
    requests_without_redis: frozenset[str]


def told_absences(log_lines: Iterable[str]) -> Iterator[Absence]:
    """Read out of a worker's log when it did without Redis, whatever the reason."""
    begin = None
    for line in log_lines:
        if '"event":"redis_breaker"' not in line:
            continue
        told = orjson.loads(line)
        at = datetime.fromisoformat(told["timestamp"])
        if told["state"] == "open":
            # What opened it had waited for answers before.
            begin = begin or at - _WAITED
        elif told["state"] == "closed" and begin is not None:
            yield Absence(begin=begin, end=at)
            begin = None
    if begin is not None:
        yield Absence(begin=begin, end=datetime.max.replace(tzinfo=UTC))


def excuse(scenario: str, evidence: Evidence, troubles: Troubles) -> Excused:
    """Judge the evidence of a storm."""
    interrupted = _interrupted(evidence, troubles)
    repeated = {call.attempt_id for call in interrupted}
    rest = replace(
        evidence, calls=tuple(each for each in evidence.calls if each.attempt_id not in repeated)
    )
    # What is flagged is told of a call that the first look sees and the second does not.
    seen = tuple(
        each
        for each in evidence.seen
        if each.kind is not TopicName.COST_TRACKING
        or each.event_id not in {id_of_attempt(attempt, each.kind) for attempt in repeated}
    )
    rest = replace(rest, seen=seen)
    away = _touched(evidence, troubles) & _violating(examine(scenario, rest))
    counts = Counter(
        (found.pid, found.at)
        for found in map(troubles.ran_through, interrupted)
        if found is not None
    )
    whole = examine(scenario, evidence)
    report = replace(
        examine(scenario, _without(rest, away)),
        **{name: getattr(whole, name) for name in _OF_THE_WHOLE},
    )
    return Excused(
        report=report,
        by_interruption=len(interrupted),
        most_of_one_interruption=max(counts.values(), default=0),
        requests_without_redis=frozenset(away),
    )


def _interrupted(evidence: Evidence, troubles: Troubles) -> list[Call]:
    """Give the purchases that an interruption repeated: those told as what they are."""
    outcomes = outcomes_told(evidence)
    return [
        call
        for calls in purchases(evidence).values()
        if len(calls) > 1
        for call in calls
        if outcomes.get(id_of_attempt(call.attempt_id, TopicName.COST_TRACKING)) in FLAGS
        and troubles.ran_through(call) is not None
    ]


def _touched(evidence: Evidence, troubles: Troubles) -> set[str]:
    """Give the requests between whose calls Redis was away, or after the last, interrupted one."""
    found = set()
    for request_id, calls in calls_by_request(evidence.calls).items():
        ordered = sorted(calls, key=lambda call: call.at)
        end = ordered[-1].at
        if troubles.ran_through(ordered[-1]):
            end += timedelta(seconds=troubles.call_s + troubles.takeover_s)
        if troubles.was_away(ordered[0].at, end):
            found.add(request_id)
    return found


def _violating(report: Report) -> set[str]:
    """Give every word of the violations that Redis' absence may be the reason of."""
    words = set[str]()
    for field in fields(report):
        if field.name in _EXCUSABLE:
            for violation in getattr(report, field.name):
                words.update(violation.split())
    return words


def _without(evidence: Evidence, requests: Collection[str]) -> Evidence:
    """Leave out the calls and what tells of them, but not the requests' answers."""
    return replace(
        evidence,
        calls=tuple(each for each in evidence.calls if each.request_id not in requests),
        seen=tuple(each for each in evidence.seen if each.request_id not in requests),
        sent=tuple(each for each in evidence.sent if each.event_id not in requests),
    )
