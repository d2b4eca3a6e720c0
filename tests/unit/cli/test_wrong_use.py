"""What `compare`, `submit` and `tail` refuse before they look for a broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from llm_worker.cli.app import WRONG_USE, cli

if TYPE_CHECKING:
    from click.testing import Result

GOOD = '{"user_prompt": "which?"}\n'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own settings is read, and no broker is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    Path("a.txt").write_text("An essay.", "utf-8")
    Path("good.jsonl").write_text(GOOD, "utf-8")


def complaint(*words: str, stdin: str | bytes = "") -> str:
    shown: Result = CliRunner().invoke(cli, words, input=stdin)
    assert shown.exit_code == WRONG_USE, shown.output
    assert shown.stdout == ""
    return shown.stderr


def test_essay_that_is_empty_is_named() -> None:
    Path("b.txt").write_text("\n", "utf-8")

    assert "b.txt is empty: put an essay into it" in complaint("compare", "a.txt", "b.txt")


def test_essay_that_is_not_utf_8_is_named() -> None:
    Path("b.txt").write_bytes("Grüße".encode("latin-1"))

    assert "b.txt is not UTF-8: save it as UTF-8" in complaint("compare", "a.txt", "b.txt")


def test_blank_prompt_is_refused() -> None:
    assert "--prompt is blank" in complaint("compare", "a.txt", "a.txt", "--prompt", " ")


def test_unknown_provider_is_refused_with_the_known_ones() -> None:
    assert "'anthropic'" in complaint("compare", "a.txt", "a.txt", "--provider", "acme")


def test_bad_line_of_standard_input_is_refused() -> None:
    assert "line 2: user_prompt: " in complaint("submit", "-", stdin=GOOD + "{}\n")


@pytest.mark.parametrize("option", [["--wait"], ["--out", "out.jsonl"]])
def test_results_that_go_elsewhere_cannot_be_awaited(option: list[str]) -> None:
    line = '{"user_prompt": "which?", "callback_topic": "huleedu.mine"}'

    assert "line 1: callback_topic: " in complaint("submit", "-", *option, stdin=line)


def test_out_file_that_holds_something_else_is_refused_and_kept() -> None:
    Path("diary.txt").write_text("dear diary\n", "utf-8")

    said = complaint("submit", "good.jsonl", "--out", "diary.txt")

    assert "diary.txt: line 1 is no result; name another file" in said
    assert Path("diary.txt").read_text("utf-8") == "dear diary\n"


def test_unknown_topic_is_refused_with_the_known_ones() -> None:
    assert "'comparison_result'" in complaint("tail", "gossip")


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "a.txt", "a.txt"],
        ["submit", "good.jsonl"],
        ["submit", "good.jsonl", "--wait"],
        ["tail", "control"],
    ],
    ids=" ".join,
)
def test_broker_that_is_not_there_is_said_in_plain_words(words: list[str]) -> None:
    shown = CliRunner().invoke(cli, words)

    assert shown.exit_code == 1
    assert "Error: no Kafka broker answers at 127.0.0.1:1" in shown.stderr
    assert "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS" in shown.stderr
    assert shown.stdout == ""
