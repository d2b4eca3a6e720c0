"""`compare`, `submit` and `tail` against a whole installation with the mock."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from llm_worker.cli.app import cli
from llm_worker.contracts.topics import load_topics
from llm_worker.dev.samples import load_essays
from llm_worker.dev.stack import LocalStack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

REQUESTS = 60
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    settings = {
        "LLM_WORKER_CACHE__REDIS_URL": "",
        "LLM_WORKER_PROVIDERS__MOCK__ENABLED": "true",
        "LLM_WORKER_PROVIDERS__MOCK__ERROR_RATE": "0.2",
        "LLM_WORKER_RETRY__ATTEMPTS": "1",
        "LLM_WORKER_ROUTING__DEFAULT_PROVIDER": "mock",
        "LLM_WORKER_ROUTING__FALLBACK": "",
        # Nobody is there, and nobody asks.
        "LLM_WORKER_PROVIDERS__SELF_HOSTED__BASE_URL": "http://127.0.0.1:1/v1",
        "LLM_WORKER_PROVIDERS__SELF_HOSTED__DEFAULT_MODEL": "llama-3",
    }
    with LocalStack(
        tmp_path_factory.mktemp("stack"),
        catalog=load_topics(),
        environment=settings,
        inherit_environment=False,
    ) as stack:
        yield stack


@pytest.fixture(autouse=True)
def _connected(stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", stack.bootstrap_servers)


@pytest.fixture
def requests_file() -> Path:
    file = Path("requests.jsonl")
    lines = (json.dumps({"user_prompt": f"Which of these? {n}"}) for n in range(REQUESTS))
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return file


def run(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, words, input=stdin)


def results_in(text: str) -> dict[str, dict[str, object]]:
    results = [json.loads(line) for line in text.splitlines()]
    by_request = {result["request_id"]: result for result in results}
    assert len(by_request) == len(results), "a request is answered once"
    return by_request


def failed(results: dict[str, dict[str, object]]) -> int:
    return sum(result["error_detail"] is not None for result in results.values())


def write_essays() -> tuple[str, str]:
    best, *_, worst = sorted(load_essays(), key=lambda essay: -essay.quality)
    Path("best.txt").write_text(best.text, "utf-8")
    Path("worst.txt").write_text(worst.text, "utf-8")
    return "best.txt", "worst.txt"


def test_compare_says_who_is_better_and_what_it_cost() -> None:
    shown = run("compare", *write_essays())

    assert shown.exit_code == 0, shown.output
    assert "best.txt is better" in shown.stdout
    assert "USD 0," in shown.stdout


def test_compare_gives_a_program_the_result_as_it_came() -> None:
    shown = run("compare", *write_essays(), "--json", "--prompt", "Which argues better?")

    assert json.loads(shown.stdout)["winner"] == "Essay A"
    assert shown.stderr == ""


def test_compare_fails_without_a_verdict() -> None:
    shown = run("compare", *write_essays(), "--provider", "openai")

    assert shown.exit_code == 1
    assert "no verdict" in shown.stdout


def test_compare_with_a_wrong_model_names_the_nearest_and_the_remedy() -> None:
    shown = run("compare", *write_essays(), "--provider", "self_hosted", "--model", "lama-3")

    [words] = [line for line in shown.stdout.splitlines() if line.startswith("no verdict: ")]
    assert shown.exit_code == 1
    assert "INVALID_REQUEST: model_override 'lama-3' is no model of self_hosted" in words
    assert "nearest: llama-3" in words
    assert "LLM_WORKER_PROVIDERS__<NAME>__MODELS" in words


@pytest.mark.parametrize("lane", ["normal", "bulk"])
def test_submit_prints_one_result_a_line_and_fails_if_one_did(
    requests_file: Path, lane: str
) -> None:
    shown = run("submit", str(requests_file), "--wait", "--json", "--lane", lane)

    results = results_in(shown.stdout)
    assert len(results) == REQUESTS
    assert 0 < failed(results) < REQUESTS
    assert shown.exit_code == 1
    assert f"{REQUESTS - failed(results)} done, {failed(results)} failed" in shown.stderr


def test_submit_prints_lines_for_people(requests_file: Path) -> None:
    shown = run("submit", "-", "--wait", stdin=requests_file.read_text("utf-8"))

    lines = shown.stdout.splitlines()
    assert len(lines) == REQUESTS
    assert any("confidence" in line for line in lines)
    assert any("failed" in line for line in lines)


def test_submit_without_failures_is_done() -> None:
    shown = run("submit", "-", "--wait", "--json", stdin="")

    assert (shown.exit_code, shown.stdout) == (0, "")


def test_submit_goes_on_where_it_was_stopped(requests_file: Path) -> None:
    run("submit", str(requests_file), "--out", "whole.jsonl")
    whole = Path("whole.jsonl").read_text("utf-8")
    lines = whole.splitlines(keepends=True)
    Path("part.jsonl").write_text("".join(lines[:20]) + lines[20][:100], "utf-8")

    shown = run("submit", str(requests_file), "--out", "part.jsonl", "--json")

    part = Path("part.jsonl").read_text("utf-8")
    assert part.startswith("".join(lines[:20]))
    assert results_in(part).keys() == results_in(whole).keys()
    totals = json.loads(shown.stdout)
    assert totals["done"] + totals["failed"] == REQUESTS
    assert totals["failed"] == failed(results_in(part))
    assert shown.exit_code == 1


def test_submit_sends_nothing_that_is_answered(requests_file: Path) -> None:
    first = run("submit", str(requests_file), "--out", "out.jsonl", "--json")
    before = Path("out.jsonl").read_bytes()

    second = run("submit", str(requests_file), "--out", "out.jsonl", "--json")

    assert Path("out.jsonl").read_bytes() == before
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert second.exit_code == 1


def test_submit_without_waiting_says_how_many_were_sent(requests_file: Path) -> None:
    shown = run("submit", str(requests_file), "--json")

    assert (shown.exit_code, json.loads(shown.stdout)) == (0, {"sent": REQUESTS})


def test_tail_shows_events_until_ctrl_c(requests_file: Path) -> None:
    run("submit", str(requests_file), "--wait")
    command = [sys.executable, "-m", "llm_worker", "tail", "comparison_result", "cost_tracking"]

    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--from-start"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tail:
        assert tail.stdout
        line = tail.stdout.readline()
        tail.send_signal(signal.SIGINT)
        _, complaints = tail.communicate(timeout=TIMEOUT_S)

    assert "comparison_result" in line or "cost_tracking" in line
    assert (tail.returncode, complaints) == (0, "")
