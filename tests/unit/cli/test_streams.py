"""What happens to standard streams that are closed, full, gone or not UTF-8."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COMMANDS = [["topics", "list"], ["--help"]]
_TIMEOUT_S = 60


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # it would leave nothing unwritten


@pytest.fixture
def nobody_reads() -> Iterator[int]:
    """The writing end of a pipe whose reader has gone, as `head` does."""
    ours, theirs = os.pipe()
    os.close(ours)
    yield theirs
    os.close(theirs)


def run(words: list[str], *, shell_end: str = "", **streams: int) -> tuple[int, str]:
    """Run the command in a shell of its own; gives exit code and stderr."""
    command = f'exec "$@" {shell_end}'
    shown = subprocess.run(  # noqa: S603 - our own command
        ["/bin/sh", "-c", command, "sh", sys.executable, "-m", "llm_worker", *words],
        stderr=subprocess.PIPE,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        **streams,  # type: ignore[call-overload] # file descriptors
    )
    return shown.returncode, shown.stderr


@pytest.mark.parametrize(
    "words", [*_COMMANDS, ["topics", "list", "--json"], ["asyncapi"]], ids=" ".join
)
def test_reader_that_has_gone_ends_it_quietly(words: list[str], nobody_reads: int) -> None:
    assert run(words, stdout=nobody_reads) == (1, "")


@pytest.mark.parametrize("words", [*_COMMANDS, ["asyncapi"]], ids=" ".join)
def test_full_disk_is_said_in_one_line(words: list[str]) -> None:
    assert run(words, shell_end="> /dev/full") == (1, "Error: No space left on device\n")


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
def test_closed_stdout_is_as_good_as_none(words: list[str]) -> None:
    assert run(words, shell_end=">&-") == (0, "")


@pytest.mark.parametrize(("words", "code"), [(["dead-letters", "replay"], 2), (["submit", "-"], 1)])
def test_closed_stdin_asks_nobody_and_holds_nothing(
    words: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")

    shown = run(words, shell_end="<&-")

    assert shown[0] == code
    assert "Traceback" not in shown[1]


def test_terminal_without_a_character_shows_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "iso-8859-1")

    assert run(["schemas", "export", "日本"], stdout=subprocess.DEVNULL) == (0, "")


def test_ctrl_c_at_any_moment_ends_it_without_a_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "llm_worker", "accountant"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if line.endswith(" click.core\n"):  # it is in the middle of its imports
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()

    assert process.returncode == 1
    assert "Traceback" not in rest
