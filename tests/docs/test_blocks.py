"""Every fenced block on a page is run, or read as what it is.

What runs for real: shell and Python, in a copy of the repository, against the stack of
`llm-worker dev` with a mock that never fails; the addresses that a page names are replaced by the
stack's. What does not: docker, kubectl, make, pip and git clone, whose words are checked
(`engines.py`), and commands that go on for ever, which are ended once they are ready
(`long_running.py`).
"""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.data import CHECKS
from tests.docs.engines import SHIMS
from tests.docs.pages import PAGES, SHELL, blocks_in, read_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.docs.pages import Block
    from tests.docs.terminal import Terminal

_BLOCKS: Final = [block for page in PAGES for block in read_page(page)]
_RUN: Final = [
    block
    for block in _BLOCKS
    if block.not_run is None and (block.saved_as or block.language in {*SHELL, "python"})
]
_DATA: Final = [block for block in _BLOCKS if block.not_run is None and block.language in CHECKS]
_SHOWN: Final = [block for block in _BLOCKS if block.language in {"", "text"}]
_ONLY_SHOWN: Final = frozenset({"", "text", "mermaid", "http", "diff"})
_COMMANDS: Final = {*SHIMS, "$", "cd", "cp", "curl", "export", "llm-worker", "python", "python3"}

_NOT_RUN: Final[dict[str, str]] = {}
"""Why blocks are not run, by page; a page's reasons are joined by semicolons. Keep it short."""


def _named(blocks: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", blocks, ids=[block.where for block in blocks])


@_named(_RUN)
def test_block_runs(block: Block, terminal_of: Callable[[str], Terminal]) -> None:
    terminal = terminal_of(block.page)
    if block.saved_as:
        terminal.save(block.saved_as, block.text)
        return
    if "curl " in block.commands and shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    ending = terminal.run(block, block.commands)
    assert ending.code in {block.exit_code, None}, f"{block.where}:\n{ending.output}"


def test_block_that_goes_on_is_stopped_once_it_has_said_what_it_was_to(
    terminal_of: Callable[[str], Terminal],
) -> None:
    [endless] = blocks_in(
        "<!-- run: until=began -->\n```sh\necho it began\nsleep 1000\n```", page=""
    )
    assert terminal_of("").run(endless, endless.commands).code is None
    [short] = blocks_in("<!-- run: until=began -->\n```sh\nexit 3\n```", page="")
    assert terminal_of("").run(short, short.commands).code == 3


@_named(_DATA)
def test_block_is_read_as_what_it_is(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no file of settings is
    CHECKS[block.language](block.text, tmp_path)


@_named(_SHOWN)
def test_block_that_is_only_shown_holds_no_command(block: Block) -> None:
    first = block.text.split(maxsplit=1)[:1]
    assert first == [] or first[0] not in _COMMANDS, "say its language: sh"


def test_each_language_has_its_check() -> None:
    languages = {block.language for block in _BLOCKS if block.not_run is None}
    assert languages - CHECKS.keys() - SHELL - _ONLY_SHOWN - {"python"} == set()


def test_blocks_that_are_not_run_are_these() -> None:
    reasons: dict[str, list[str]] = {}
    for block in _BLOCKS:
        if block.not_run is not None:
            reasons.setdefault(block.page, []).append(block.not_run)
    assert {page: "; ".join(each) for page, each in reasons.items()} == _NOT_RUN


def test_pages_have_blocks_of_every_kind() -> None:
    count = Counter(block.language for block in _BLOCKS)
    assert count["sh"] > 0
    assert count["json"] > 0
    assert len(_RUN) > 0
    assert len({block.where for block in _BLOCKS}) == len(_BLOCKS)
