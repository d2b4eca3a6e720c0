"""What is aimed at, and whether a run reached it: pure, from the tables alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.report import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.report import Figure

_MISSED, _REACHED = "**missed**", "reached"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A limit for the figures that `find` takes from a part's table."""

    words: str
    part: str
    at_most: float
    unit: str = ""
    find: Callable[[Section], Iterable[float]]

    def judged(self, section: Section) -> dict[str, Figure]:
        """Give the row that says what was measured, and whether all of it is within the limit."""
        found = list(self.find(section))
        least, most = _words(min(found)), _words(max(found))
        said = most if least == most else f"{least} to {most}"
        return {
            "goal": self.words,
            "measured": f"{said} {self.unit}".strip(),
            "": _REACHED if max(found) <= self.at_most else _MISSED,
        }


def judged(sections: Mapping[str, Section]) -> Section:
    """Judge the goals whose parts were measured."""
    return Section(
        title="Goals",
        rows=[goal.judged(sections[goal.part]) for goal in GOALS if goal.part in sections],
    )


def number(figure: Figure) -> float:
    """Read a figure; of one that is told with its range, the first number."""
    if not isinstance(figure, str):
        return float(figure)
    found = _NUMBER.search(figure)
    if found is None:
        raise ValueError(f"{figure!r} has no number in it")
    return float(found[0])


def _of(*columns: str, **only: Figure) -> Callable[[Section], list[float]]:
    """Take columns of the rows that have these values; `_` in a name stands for a space."""
    wanted = {name.replace("_", " "): value for name, value in only.items()}

    def find(section: Section) -> list[float]:
        rows = [row for row in section.rows if wanted.items() <= row.items()]
        return [number(row[name]) for row in rows for name in columns]

    return find


def _named(row_name: str, column: str) -> Callable[[Section], list[float]]:
    """Take a column of the rows whose first cell begins so."""

    def find(section: Section) -> list[float]:
        return [
            number(row[column])
            for row in section.rows
            if str(next(iter(row.values()))).startswith(row_name)
        ]

    return find


def _whole_core(section: Section) -> list[float]:
    """Give the share of a core at its full speed of the rows whose calls run."""
    return [
        number(row["core"]) / number(row["slowness"])
        for row in section.rows
        if row["requests come"] == "paced"
    ]


def _growth(section: Section) -> list[float]:
    few, many = (number(row["us CPU each"]) for row in section.rows)
    return [many / few]


def _off_by(section: Section) -> list[float]:
    """Give how far a full Redis is from an empty one, in either direction."""
    ratios = (row["full/empty"] for row in section.rows)
    return [abs(number(ratio) - 1) for ratio in ratios if ratio != "-"]


GOALS = (
    Goal(
        words="added latency at half load, p50: at most 5 ms",
        part="latency",
        at_most=5,
        unit="ms",
        find=_of("p50", load="half"),
    ),
    Goal(
        words="... p99: at most 25 ms",
        part="latency",
        at_most=25,
        unit="ms",
        find=_of("p99", load="half"),
    ),
    Goal(
        words="from the start of the process to its first poll: under 2 s",
        part="startup",
        at_most=2,
        unit="s",
        find=_named("first poll", "s"),
    ),
    Goal(
        words="the worker costs at most 1.3 times the CPU of Faust alone (c/b)",
        part="cpu",
        at_most=1.3,
        unit="times",
        find=_of("c/b"),
    ),
    Goal(
        words="over HTTP, at most 1.6 times the CPU of a bare loop (e/d)",
        part="http",
        at_most=1.6,
        unit="times",
        find=_of("e/d"),
    ),
    Goal(
        words="the orchestrator's own share, five targets: at most 60 us",
        part="orchestrator",
        at_most=60,
        unit="us",
        find=_of("us CPU"),
    ),
    Goal(
        words="2,000 calls in flight at 10 s, paced: at most 250 MB",
        part="memory",
        at_most=250,
        unit="MB",
        find=_of("RSS MB", requests_come="paced"),
    ),
    Goal(
        words="... with a full window behind them, too",
        part="memory",
        at_most=250,
        unit="MB",
        find=_of("RSS MB", requests_come="backlog"),
    ),
    Goal(
        words="... and a quarter of a core at its full speed",
        part="memory",
        at_most=0.25,
        find=_whole_core,
    ),
    Goal(
        words="store, claim and cache add at most 250 us to a miss (iii - ii)",
        part="cache",
        at_most=250,
        unit="us",
        find=_named("iii", "more than ii"),
    ),
    Goal(
        words="... with the miss event, too (iii - i)",
        part="cache",
        at_most=250,
        unit="us",
        find=_named("iii", "more than i"),
    ),
    Goal(
        words="... and 120 us to a hit in Redis, beyond consume and publish (iv - i)",
        part="cache",
        at_most=120,
        unit="us",
        find=_named("iv", "more than i"),
    ),
    Goal(
        words="the same with 1,000,000 keys and a full local tier, within 10 %",
        part="cache",
        at_most=0.1,
        unit="off",
        find=_off_by,
    ),
    Goal(
        words="at most two round trips to Redis per uncached request",
        part="cache-trips",
        at_most=2.1,
        find=_named("miss", "round trips"),
    ),
    Goal(
        words="no request slower by more than 100 ms while Redis misbehaves",
        part="redis-faults",
        at_most=100,
        unit="ms",
        find=_of("added"),
    ),
    Goal(
        words="nothing lost or failed meanwhile",
        part="redis-faults",
        at_most=0,
        find=_of("lost", "failed"),
    ),
    Goal(
        words="hard limits add at most 120 us to a request",
        part="budget",
        at_most=120,
        unit="us",
        find=lambda section: [number(row["more"]) for row in section.rows if row["more"] != "-"],
    ),
    Goal(
        words="pricing one attempt: at most 10 us",
        part="pricing",
        at_most=10,
        unit="us",
        find=_of("fast"),
    ),
    Goal(
        words="the accountant: at most 200 us an event",
        part="accountant",
        at_most=200,
        unit="us",
        find=_of("us CPU"),
    ),
    Goal(
        words="metrics and logs cost at most 6 %",
        part="telemetry",
        at_most=1.06,
        unit="times",
        find=_named("metrics and logs", "ratio"),
    ),
    Goal(
        words="tracing that is not sampled at most 4 %",
        part="telemetry",
        at_most=1.04,
        unit="times",
        find=_named("and spans, not sampled", "ratio"),
    ),
    Goal(
        words="page and metrics in under 50 ms with 2,000 calls in flight, median",
        part="page",
        at_most=50,
        unit="ms",
        find=_of("median ms"),
    ),
    Goal(
        words="... and the slowest",
        part="page",
        at_most=50,
        unit="ms",
        find=_of("most ms"),
    ),
    Goal(
        words="no figure grows with the backlog: 100,000 waiting against 100, at most 1.1 times",
        part="growth",
        at_most=1.1,
        unit="times",
        find=_growth,
    ),
)
"""In the order of the page."""


def _words(figure: float) -> str:
    return f"{figure:.2f}" if abs(figure) < 10 and figure != int(figure) else f"{figure:,.0f}"  # noqa: PLR2004 - three digits tell enough
