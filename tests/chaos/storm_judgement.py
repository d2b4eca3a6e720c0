"""The judgement of a storm: results, purchases, cost events, totals, alerts, offsets, answers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.application.verifying import verify
from llm_worker.bootstrap.spend.reading import TopicHistory
from tests.chaos.accountants import HORIZON_MS, alert_times, expected, published, until_booked
from tests.chaos.storm_bills import read_bills, unpaid_bills, wrong_answers
from tests.chaos.storm_excuses import Troubles, excuse, told_absences
from tests.chaos.storm_stack import CALL_S, SLOTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from datetime import datetime

    from tests.chaos.evidence import Evidence
    from tests.chaos.storm_excuses import Absence, Excused
    from tests.chaos.storm_stack import Stack

_SHOWN: Final = 10
_TAKEOVER_S: Final = 60.0
_ABOUT_TO: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A fault as it came, in seconds from the start."""

    fault: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of a storm; nothing is wrong where there is no violation."""

    figures: dict[str, Any]
    happened: list[Happened]
    violations: list[str]


async def judge(stack: Stack, *, happened: list[Happened], settled_s: float) -> Findings:
    """Wait until all is settled, and hold it against every promise."""
    evidence = await stack.scenario.settled(timeout_s=settled_s, beside=stack.http.sent)
    troubles = Troubles(
        interruptions=stack.interruptions,
        absences=[
            *stack.absences,
            *(absence for log in _logs(stack) for absence in told_absences(log)),
        ],
        call_s=CALL_S,
        takeover_s=_TAKEOVER_S,
    )
    excused = excuse(stack.scenario.name, evidence, troubles)
    bills = read_bills(stack.books)
    raised = await alert_times(stack.installation)
    violations = [
        *stack.ended_wrongly,
        *_of_report(excused),
        *_told_without_redis(excused, unpaid_bills(evidence, bills)),
        *wrong_answers(evidence, stack.http.answers, [sent.mark for sent in stack.http.sent]),
        *[found async for found in _wrong_totals(stack, settled_s)],
        *repeated_alerts(raised, stack.freezes),
    ]
    if not raised:
        violations.append("no alert was raised, though limits were passed")
    return Findings(
        figures={
            **excused.report.figures(),
            "over_http": len(stack.http.sent),
            "failed": _failed(evidence),
            "billed": len(bills),
            "alerts": len(raised),
            "workers": len(stack.scenario.workers),
            "accountants": len(stack.scenario.accountants),
            "interruptions": len(stack.interruptions),
            "redis_away": len(troubles.absences),
            "bought_again_by_interruption": excused.by_interruption,
            "bought_again_without_redis": len(excused.requests_without_redis),
        },
        happened=happened,
        violations=violations,
    )


def repeated_alerts(
    raised: Mapping[str, Sequence[datetime]], freezes: Sequence[Absence]
) -> Iterator[str]:
    """Name what was told more than once, save by an accountant that froze as it was about to."""
    spans = [(each.begin - _ABOUT_TO, each.end + _ABOUT_TO) for each in freezes]
    for alert, times in raised.items():
        others = [at for at in times if not any(begin <= at <= end for begin, end in spans)]
        if len(times) > 1 + len(freezes) or len(others) > 1:
            yield f"alert {alert} was raised {len(times)} times"


def _logs(stack: Stack) -> Iterator[list[str]]:
    return (worker.log_lines() for worker in stack.scenario.workers)


def _of_report(excused: Excused) -> Iterator[str]:
    """Name what the checker found, and calls beyond those that one worker can have running."""
    for field in fields(excused.report):
        value = getattr(excused.report, field.name)
        if isinstance(value, tuple) and value:
            yield f"{field.name}: {len(value)}, for instance " + "; ".join(value[:_SHOWN])
    if excused.most_of_one_interruption > SLOTS:
        yield f"one interruption repeated {excused.most_of_one_interruption} calls, of {SLOTS}"
    if not excused.report.samples:
        yield "the committed offsets were never sampled"


def _told_without_redis(excused: Excused, found: Iterator[str]) -> Iterator[str]:
    """Leave out what a killed worker alone knew, since Redis was away."""
    for violation in found:
        if excused.requests_without_redis.isdisjoint(violation.split()):
            yield violation


async def _wrong_totals(stack: Stack, settled_s: float) -> AsyncIterator[str]:
    with suppress(AssertionError):  # the totals say better what is missing
        await until_booked(stack.installation, timeout_s=settled_s)
    wanted, found = await expected(stack.installation), await published(stack.installation)
    for key in sorted(wanted.keys() | found.keys(), key=str):
        if wanted.get(key) != found.get(key):
            yield f"total of {key}: published {found.get(key)}, the events say {wanted.get(key)}"
    topics = stack.installation.topics
    history = TopicHistory(stack.installation.options, topics, horizon_ms=HORIZON_MS)
    for drift in await verify(history, SpendCodec(topics), horizon_ms=HORIZON_MS):
        yield f"verify finds {drift}"


def _failed(evidence: Evidence) -> int:
    answers = evidence.answers().values()
    return sum(given[0].envelope["data"]["error_detail"] is not None for given in answers)
