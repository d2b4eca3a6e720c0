from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

from llm_worker.settings.names import CONFIG, variables
from tests.docs.pages import PAGES, Block, UnknownAnnotationError, blocks_in
from tests.support.dockerfile import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SETTING = re.compile(r"\bLLM_WORKER_[A-Z0-9_]+")
_each_page = pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(REPOSITORY)) for page in PAGES]
)


@_each_page
def test_only_settings_that_exist_are_named(page: Path) -> None:
    aliases = {alias for variable in variables().values() for alias in variable.aliases}
    known = {*variables(), *aliases, CONFIG}
    named = set(_SETTING.findall(page.read_text("utf-8")))
    assert {name for name in named if not _is_known(name, known)} == set()


def _is_known(name: str, known: set[str]) -> bool:
    """Whether it is a setting, or, before a placeholder, how one begins."""
    return name in known or (name[-1] == "_" and any(each.startswith(name) for each in known))


@_each_page
def test_links_to_others_are_addresses(page: Path) -> None:
    for link in _links(page.read_text("utf-8")):
        address = urlsplit(link)
        if address.scheme:
            assert address.scheme == "https", link
            assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", address.netloc), link
            assert not re.search(r"\s", link), link


def _links(text: str) -> Iterator[str]:
    for token in MarkdownIt().parse(text):
        for child in token.children or ():
            if link := child.attrGet("href") or child.attrGet("src"):
                yield str(link)


def _one(text: str) -> Block:
    [block] = blocks_in(dedent(text), page="page.md")
    return block


def test_block_is_read_with_its_language_and_the_line_of_its_fence() -> None:
    block = _one("""
        # Page

        1. a list

           ```sh title
           true
           ```
        """)
    assert (block.where, block.language, block.text) == ("page.md:6", "sh", "true\n")


def test_comment_before_a_block_says_how_it_is_run() -> None:
    block = _one("""
        So:
        <!-- run: until=Essay A, exit=3, as=a/b.json -->
        ```python
        ```
        """)
    assert (block.until, block.exit_code, block.saved_as) == ("Essay A", 3, "a/b.json")


def test_comment_before_a_block_says_why_it_is_not_run() -> None:
    assert _one("<!-- not run: no internet -->\n\n```sh\n```").not_run == "no internet"


def test_comment_of_another_block_and_one_for_people_say_nothing() -> None:
    first, second = blocks_in("<!-- run: exit=1 -->\n```sh\n```\n```sh\n```", page="page.md")
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert _one("<!-- for people -->\n```sh\n```").not_run is None


def test_unknown_wish_is_an_error_that_names_it() -> None:
    with pytest.raises(UnknownAnnotationError, match=r"page.md:2: \['untill'\]"):
        blocks_in("<!-- run: untill=x -->\n```sh\n```", page="page.md")


def test_python_that_continues_has_what_stands_before_it() -> None:
    first, between, second = "```python\na\n```\n", "```sh\n```\n", "```python\nb\n```\n"
    text = f"{first}{between}<!-- run: continues -->\n{second}{first}"
    assert [block.text for block in blocks_in(text, page="page.md")] == [
        "a\n",
        "",
        "a\n\nb\n",
        "a\n",
    ]


def test_what_a_reader_types_of_a_console_is_what_follows_a_prompt() -> None:
    assert _one("```console\n$ cd x\nanswer\n$ ls\n```").commands == "cd x\nls\n"
