"""The pure parts of benchmarks/: what is judged, joined, rendered and drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from benchmarks.added import Added, answered
from benchmarks.goals import GOALS, judged, number
from benchmarks.report import Section, put_into, table

if TYPE_CHECKING:
    from pathlib import Path

_STARTED, _COMPLETED = "2026-11-23T12:00:00.010000Z", "2026-11-23T12:00:00.215000Z"
_REQUESTED_MS = 1_795_435_200_000


def _result(**changes: object) -> bytes:
    data = {"error_detail": None, "cached": False, "completed_at": _COMPLETED}
    return orjson.dumps({"data": data | changes})


def _joined(result: bytes, *, took_s: float | None = 0.2) -> Added:
    return Added(
        answered(
            {b"k": (_REQUESTED_MS, b"")},
            {b"k": (_REQUESTED_MS + 220, result)},
            {b"k": (0, orjson.dumps({"event_timestamp": _STARTED}))},
            {} if took_s is None else {b"k": took_s},
        )
    )


def test_added_time_is_from_record_to_record_less_the_providers_and_split_without_a_rest() -> None:
    [one] = _joined(_result()).each
    assert one.added_ms == pytest.approx(20)
    assert one.before_ms == pytest.approx(10)
    assert one.around_ms == pytest.approx(5)
    assert one.after_ms == pytest.approx(5)


@pytest.mark.parametrize("changes", [{"cached": True}, {"error_detail": {"code": "TIMEOUT"}}])
def test_request_without_a_bought_verdict_spoils_the_run(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no bought verdict"):
        _joined(_result(**changes))


def test_request_whose_provider_was_never_asked_spoils_the_run() -> None:
    with pytest.raises(ValueError, match="has no call"):
        _joined(_result(), took_s=None)


def _half(p50: float) -> Section:
    rows = [{"load": load, "p50": ms, "p99": 30.0} for load, ms in (("half", p50), ("2,000", 99.0))]
    return Section(title="", rows=rows)  # type: ignore[arg-type] # mypy: list is invariant


@pytest.mark.parametrize(("p50", "verdict"), [(5.0, "reached"), (5.1, "**missed**")])
def test_goal_is_reached_up_to_its_limit_by_the_rows_that_it_is_about(
    p50: float, verdict: str
) -> None:
    rows = judged({"latency": _half(p50)}).rows
    assert [row[""] for row in rows] == [verdict, "**missed**"]
    assert rows[0]["measured"] == f"{p50:.2f} ms".replace("5.00", "5")


def test_goal_whose_part_was_not_measured_is_not_judged() -> None:
    assert judged({}).rows == []


def test_every_goal_is_of_a_part_that_there_is() -> None:
    from benchmarks.all_parts import PARTS  # noqa: PLC0415 - imports the whole worker

    assert {goal.part for goal in GOALS} <= PARTS.keys()


def test_figure_that_is_told_with_its_range_is_its_median() -> None:
    assert number("150 (72 to 293)") == 150
    assert number("-1.5 (-3 to 2)") == -1.5
    assert number(7) == 7


def test_only_what_stands_between_the_named_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- goals: begin -->old<!-- goals: end -->\n<!-- figures: begin -->x")
    put_into(page, "new", between="goals")
    expected = "a\n<!-- goals: begin -->\nnew\n<!-- goals: end -->\n<!-- figures: begin -->x"
    assert page.read_text() == expected


def test_table_has_small_figures_with_two_places_and_large_ones_with_none() -> None:
    text = table(Section(title="", rows=[{"a": 1.234, "b": 12.6, "c": "-"}]))
    assert text.splitlines()[-1].split() == ["|", "1.23", "|", "13", "|", "-", "|"]


def test_pictures_are_drawn_of_the_parts_that_were_measured_and_are_the_same_again(
    tmp_path: Path,
) -> None:
    from benchmarks.plots import draw_all, listed  # noqa: PLC0415 - matplotlib takes a second

    latency = Section(title="", rows=[], curves={"half load": [1.0 + n / 10 for n in range(99)]})
    rows = [{"calls": "mock", "in flight": 50, "one worker": 900, "two workers": 1200}]
    throughput = Section(title="", rows=rows)  # type: ignore[arg-type] # mypy: list is invariant
    first, again = (
        draw_all({"latency": latency, "throughput": throughput}, tmp_path / name)
        for name in ("first", "again")
    )
    assert [path.name for path in first] == ["bench-latency.svg", "bench-throughput.svg"]
    assert [path.read_text() for path in first] == [path.read_text() for path in again]
    assert "half load" in first[0].read_text()
    shown = listed(tmp_path / "first").split("\n\n")
    assert [line.rpartition("](")[2] for line in shown] == [
        "first/bench-latency.svg)",
        "first/bench-throughput.svg)",
    ]
