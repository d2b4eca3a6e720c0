"""The pages that people read, and the fenced blocks on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

from tests.support.dockerfile import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from markdown_it.token import Token

PAGES: Final = tuple(
    sorted(
        {
            REPOSITORY / "README.md",
            REPOSITORY / "CONTRIBUTING.md",
            REPOSITORY / "deploy/README.md",
            *(REPOSITORY / "docs").glob("*.md"),
            *(REPOSITORY / "examples").glob("*.md"),
        }
    )
)
SHELL: Final = frozenset({"sh", "bash", "console"})
_RUN: Final = "run:"
_NOT_RUN: Final = "not run:"
_KNOWN: Final = frozenset({"continues", "until", "exit", "as"})


class UnknownAnnotationError(ValueError):
    """A comment before a block asks for what there is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block, and what the comment before it says about running it."""

    page: str
    line: int
    language: str
    text: str
    continues: bool = False
    """The page's Python before it goes on in it, and is part of the text."""
    until: str | None = None
    """It goes on for ever: it is stopped once it has printed this."""
    exit_code: int = 0
    saved_as: str | None = None
    """It is a file of this name, for the blocks after it."""
    not_run: str | None = None
    """Why it is not run."""

    @property
    def where(self) -> str:
        """The page, and the line of the fence."""
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> str:
        """What a reader types of a shell block."""
        if self.language != "console":
            return self.text
        typed = (line[2:] for line in self.text.splitlines() if line[:2] in {"$ ", "> "})
        return "".join(f"{line}\n" for line in typed)


def read_page(page: Path) -> list[Block]:
    """Read the blocks of a page of this repository."""
    return blocks_in(page.read_text("utf-8"), page=page.relative_to(REPOSITORY).as_posix())


def blocks_in(text: str, *, page: str) -> list[Block]:
    """Read the blocks of a text.

    Raises:
        UnknownAnnotationError: The comment before a block is none of those that there are.
    """
    tokens = MarkdownIt().parse(text)
    program = ""
    blocks = []
    for number, token in enumerate(tokens):
        if token.type != "fence":
            continue
        block = _block(token, page=page, comment=_comment_before(tokens, number))
        if block.language == "python":
            program = f"{program}\n{block.text}" if block.continues else block.text
            block = replace(block, text=program)
        blocks.append(block)
    return blocks


def _comment_before(tokens: Sequence[Token], number: int) -> str:
    before = tokens[number - 1] if number else None
    if before is None or before.type != "html_block":
        return ""
    return before.content.strip().removeprefix("<!--").removesuffix("-->").strip()


def _block(token: Token, *, page: str, comment: str) -> Block:
    line = token.map[0] + 1 if token.map else 0
    wishes = _wishes(comment, where=f"{page}:{line}")
    not_run = comment.removeprefix(_NOT_RUN).strip() if comment.startswith(_NOT_RUN) else None
    return Block(
        page=page,
        line=line,
        language=token.info.split(maxsplit=1)[0] if token.info.strip() else "",
        text=token.content,
        continues="continues" in wishes,
        until=wishes.get("until"),
        exit_code=int(wishes.get("exit", "0")),
        saved_as=wishes.get("as"),
        not_run=not_run,
    )


def _wishes(comment: str, *, where: str) -> dict[str, str]:
    if not comment.startswith(_RUN):
        return {}
    pairs = (wish.strip().partition("=") for wish in comment.removeprefix(_RUN).split(","))
    wishes = {name: value for name, _, value in pairs}
    if unknown := wishes.keys() - _KNOWN:
        raise UnknownAnnotationError(f"{where}: {sorted(unknown)}; there are {sorted(_KNOWN)}")
    return wishes
