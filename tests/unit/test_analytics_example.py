"""How examples/analytics_to_parquet.py puts rows into their files."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from examples.analytics_to_parquet import settle

if TYPE_CHECKING:
    from pathlib import Path


def line(event_id: str, outcome: str, usd: str | None, day: str = "2026-11-23") -> bytes:
    row: dict[str, Any] = {"event_id": event_id, "provider": "mock"}
    row |= {"at": f"{day}T23:59:59.123456+00:00", "model": "m", "organization_id": None}
    row |= {"outcome": outcome, "tokens": 7, "usd": usd}
    return json.dumps(["costs", row]).encode() + b"\n"


def settled(out: Path, *lines: bytes, day: str = "2026-11-23") -> list[tuple[str, Decimal | None]]:
    (out / "spool.jsonl").write_bytes(b"".join(lines))
    settle(out)
    rows = pq.read_table(out / "costs" / f"{day}.parquet").to_pylist()
    return [(row["event_id"], row["usd"]) for row in rows]


@pytest.mark.parametrize("turned", [False, True])
def test_known_cost_replaces_an_unknown_one_and_never_the_other_way(
    tmp_path: Path, *, turned: bool
) -> None:
    lines = [line("a", "unknown", None), line("a", "success", "0.000000000001")]

    first, second = reversed(lines) if turned else lines
    settled(tmp_path, first)

    assert settled(tmp_path, second) == [("a", Decimal("0.000000000001"))]


def test_rows_go_into_the_files_of_their_days(tmp_path: Path) -> None:
    lines = [line("a", "success", "1.5"), line("b", "success", "2", day="2026-11-24")]

    assert settled(tmp_path, *lines) == [("a", Decimal("1.5"))]
    assert settled(tmp_path, day="2026-11-24") == [("b", Decimal(2))]


def test_half_a_line_is_left_to_the_event_that_comes_again(tmp_path: Path) -> None:
    whole, half = line("a", "success", "1"), line("b", "success", "2")[:-9]

    assert settled(tmp_path, whole, half) == [("a", Decimal(1))]
    assert not (tmp_path / "spool.jsonl").exists()


def test_spool_that_is_settled_again_changes_nothing(tmp_path: Path) -> None:
    spool = line("a", "success", "1") + line("b", "success", "2")

    assert settled(tmp_path, spool) == settled(tmp_path, spool)
