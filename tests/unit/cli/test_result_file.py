from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from llm_worker.cli.result_file import end_cleanly, read_results

GOLDEN = Path(__file__).parents[2] / "schemas" / "golden" / "LLMComparisonResultV1"


@pytest.fixture
def line() -> bytes:
    document = json.loads((GOLDEN / "verdict.json").read_text("utf-8"))
    return json.dumps(document["wire"]).encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def test_no_file_holds_no_results(path: Path) -> None:
    assert list(read_results(path)) == []

    end_cleanly(path)

    assert not path.exists()


def test_half_written_last_line_is_left_out_and_cut_off(path: Path, line: bytes) -> None:
    path.write_bytes(line + line + line[:-20])

    assert len(list(read_results(path))) == 2
    end_cleanly(path)

    assert path.read_bytes() == line + line


def test_last_line_that_lacks_only_its_end_is_kept(path: Path, line: bytes) -> None:
    path.write_bytes(line + line.rstrip())

    assert len(list(read_results(path))) == 2
    end_cleanly(path)

    assert path.read_bytes() == line + line


def test_whole_file_stays_as_it_is(path: Path, line: bytes) -> None:
    path.write_bytes(line)

    end_cleanly(path)

    assert path.read_bytes() == line


def test_file_of_something_else_is_refused_with_the_line(path: Path, line: bytes) -> None:
    path.write_bytes(line + b"my diary\n" + line)

    with pytest.raises(click.UsageError, match=r"results\.jsonl: line 2 is no result"):
        list(read_results(path))
