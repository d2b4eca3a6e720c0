from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import Block
from tests.docs.terminal import Addresses, Terminal

if TYPE_CHECKING:
    from pathlib import Path

_NOBODY = Addresses(
    broker="127.0.0.1:1", worker="127.0.0.1:2", accountant="127.0.0.1:3", cache="h:4", fakes="h:5"
)


@pytest.fixture
def terminal(tmp_path: Path, ready: str) -> Terminal:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": _NOBODY.broker}
    return Terminal(tmp_path / "page", addresses=_NOBODY, environment=environment, ready=ready)


def _run(terminal: Terminal, text: str, *, language: str = "sh") -> tuple[int | None, str]:
    block = Block(page="page.md", line=1, language=language, text=text)
    ending = terminal.run(block, block.commands)
    return ending.code, ending.output


@pytest.mark.parametrize(
    "text",
    [
        "false\ntrue",
        "false | true",
        'echo "$NOT_SET"',
        "no-such-command",
        "llm-worker no-such-command",
        "llm-worker worker --no-such-option",
        "llm-worker dev --no-such-option",
        "make no-such-target && true",
        "python -m pip install no-such-package",
    ],
)
def test_block_of_which_a_part_fails_has_failed(terminal: Terminal, text: str) -> None:
    code, _ = _run(terminal, text)
    assert code != 0


@pytest.mark.parametrize("text", ["1 / 0", "import asyncio\nawait asyncio.sleep(0)\n1 / 0"])
def test_program_that_raises_has_failed(terminal: Terminal, text: str) -> None:
    code, output = _run(terminal, text, language="python")
    assert code == 1
    assert "ZeroDivisionError" in output


def test_exit_code_and_both_streams_are_the_commands_own(terminal: Terminal) -> None:
    code, output = _run(terminal, "llm-worker --version | cut -d, -f1\nllm-worker no-such-command")
    assert code == 2
    assert output.startswith("llm-worker\n")
    assert "No such command" in output


def test_files_exports_and_the_folder_outlive_a_block(terminal: Terminal) -> None:
    _run(terminal, "mkdir my && cd my\nexport MINE='a  b'\necho 1 > file")
    assert _run(terminal, 'cat file; echo "$MINE"; basename "$PWD"') == (0, "1\na  b\nmy\n")
    program = "import os\nprint(open('file').read(), os.environ['MINE'])"
    assert _run(terminal, program, language="python") == (0, "1\n a  b\n")


def test_folder_is_a_copy_in_which_the_virtual_environment_can_be_activated(
    terminal: Terminal,
) -> None:
    text = "source .venv/bin/activate\nls README.md topics.yaml .env.example llm_worker/cli\nmake"
    code, output = _run(terminal, text)
    assert code == 0, output


def test_addresses_of_a_page_are_those_of_the_stack(terminal: Terminal) -> None:
    text = "echo kafka-1:9092,kafka-2:9092 http://localhost:8080/ 127.0.0.1:8081 redis:6379 x:90921"
    _, output = _run(terminal, text)
    assert output == "127.0.0.1:1 http://127.0.0.1:2/ 127.0.0.1:3 h:4 x:90921\n"


def test_saved_block_is_a_file_of_the_folder(terminal: Terminal) -> None:
    terminal.save("a/b.txt", "kafka:9092")
    assert _run(terminal, "cat a/b.txt") == (0, "127.0.0.1:1")
