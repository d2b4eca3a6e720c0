"""Commands in a sentence or a table, which are not run, name what there is."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

import click
import pytest
from markdown_it import MarkdownIt

from llm_worker.cli.app import cli
from tests.docs.engines import SHIMS, main
from tests.docs.pages import PAGES
from tests.support.dockerfile import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence

_ASSIGNED: Final = re.compile(r"^(?:[A-Z_]+=\S* )+")
_TEXTS: Final = sorted(
    {
        (str(page.relative_to(REPOSITORY)), _ASSIGNED.sub("", child.content))
        for page in PAGES
        for token in MarkdownIt().enable("table").parse(page.read_text("utf-8"))
        for child in token.children or ()
        if child.type == "code_inline"
    }
)
_OURS: Final = [each for each in _TEXTS if each[1].startswith("llm-worker ")]
_OTHERS: Final = [each for each in _TEXTS if " " in each[1] and each[1].split()[0] in SHIMS]


@pytest.mark.parametrize(("page", "command"), _OURS)
def test_command_in_a_text_has_names_and_options_that_there_are(page: str, command: str) -> None:
    assert _complaint(shlex.split(command)[1:]) is None, page


@pytest.mark.parametrize(("page", "command"), _OTHERS)
def test_command_of_others_in_a_text_can_be_right(
    page: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    name, *words = shlex.split(command)
    assert main(name, words) == 0, page


def test_commands_are_found_at_all_and_wrong_ones_are_told() -> None:
    assert _OURS
    assert _OTHERS
    assert _complaint(["topics", "create", "--dry-run"]) is None
    assert _complaint(["topics", "crate"]) == "crate"
    assert _complaint(["topics", "create", "--dry"]) == "--dry"


def _complaint(words: Sequence[str]) -> str | None:
    """Give the first word that is neither a command nor an option; arguments may be left out."""
    command: click.Command = cli
    for word in words:
        if word.startswith("-"):
            options = {name for each in command.params for name in each.opts} | {"--help", "-h"}
            if word.partition("=")[0] not in options:
                return word
        elif isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return word
            command = found
    return None
