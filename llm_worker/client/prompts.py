"""Finds the base prompt and the two essays in one combined prompt.

Only what cannot be misread is split: a prompt that goes whole is judged all the same, one that is
cut in the wrong place gives an essay to the other writer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

_FLAGS: Final = re.IGNORECASE | re.ASCII
# A line that begins with the words, whatever stands before them: more of these than two, and
# nobody can tell which of them are the headings.
_LIKE_A_HEADING: Final = re.compile(
    r"^[^a-z0-9\n<]{0,24}essay[ \t_-]{1,3}([ab])(?![a-z0-9])", _FLAGS | re.MULTILINE
)
_HEADING: Final = re.compile(
    r"[ \t]{0,8}(?P<mark>#{1,6}[ \t]{1,4})?"
    r"(?P<open>\*{1,3}|_{1,3}|\[|(?P<rule>[-=*~]{2,40})[ \t]{1,4})?"
    r"essay[ _](?P<letter>[ab])(?P<id>[ \t]{0,3}\([^()\n]{1,80}\))?"
    r"(?P<colon>:)?(?P<close>\*{1,3}|_{1,3}|\]|[ \t]{1,4}(?P=rule))?(?P<late_colon>:)?[ \t\r]*",
    _FLAGS,
)
_TAG: Final = re.compile(r"<(/?)essay[ _-]?([ab])>", _FLAGS)
_TAGS_IN_ORDER: Final = [("", "a"), ("/", "a"), ("", "b"), ("/", "b")]
_LETTERS: Final = ["a", "b"]
_FENCES: Final = ('"""', "'''", "```", "~~~")
_LANGUAGES: Final = frozenset({"", "text", "txt", "plaintext", "markdown", "md"})
_RULE: Final = re.compile(r"[ \t]*[-=*_~#]{3,}[ \t\r]*")
_SPEAKS_OF_ESSAYS: Final = re.compile(
    r"essay[ \t_-]{1,3}[ab][ \t]{0,3}(?:\([^()\n]{0,80}\))?[ \t]{0,3}[:\])*]|</?essay", _FLAGS
)
_SECTION: Final = re.compile(
    r"^[ \t]{0,8}(?:#{1,6}[ \t].*|\*\*[^*\n]*\*\*:?|\[[^\]\n]*\]|[^\n:]{1,40}:|[-=*_~]{3,})"
    r"[ \t\r]*$",
    re.MULTILINE,
)
_VERBS: Final = (
    "answer|assess|based on|choose|compare|consider|decide|determine|evaluate|explain|give|judge|"
    "now|output|please|provide|remember|reply|respond|return|select|think|using|what|which|write|"
    "you are|you must|your"
)
_INSTRUCTION: Final = re.compile(
    rf"(?:^|[.!?:][ \t]{{0,8}})[^\w\n]{{0,8}}(?:{_VERBS})\b"
    r"|\bjson\b|\bwinner\b|\bjustification\b|\bessay[ \t]{1,3}[ab]\b"
    r"|\b(?:which|both|two|these|better)[ \t]{1,3}(?:of the )?essays?\b|[{}]|```",
    _FLAGS | re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPrompt:
    """The parts of a combined prompt, without the headings and without white space around them."""

    base: str
    essay_a: str
    essay_b: str


class _Section(NamedTuple):
    """What stands under a heading: the text, how it is fenced, and what follows the fence."""

    text: str
    fence: str = ""
    rest: str = ""


def split_prompt(prompt: str, *, closing: str | None = None) -> SplitPrompt | None:
    """Find the parts of a prompt; None where it must go whole.

    Each essay stands once under a heading at the beginning of a line, A before B, both in one
    form: `Essay A:`, `Essay A (ID: 17):`, `**Essay A:**`, `## Essay A`, `[Essay A]`,
    `--- Essay A ---`, with the text behind or below it; or within `<essay_a>` and `</essay_a>`.
    A fence around a whole essay (three quotes, backticks or tildes) is no part of it. What follows
    the essays goes to the end of the base prompt.

    Args:
        prompt: Instructions and both essays.
        closing: The words with which every such prompt ends, empty if with Essay B. Without it, a
            prompt goes whole whose last paragraph might be such words.
    """
    body = prompt.rstrip()
    if closing is not None:
        ending = closing.strip()
        if not body.endswith(ending):
            return None
        body = body.removesuffix(ending)
    tags = list(islice(_TAG.finditer(body), len(_TAGS_IN_ORDER) + 1))
    headings = list(islice(_LIKE_A_HEADING.finditer(body), len(_LETTERS) + 1))
    if tags:
        found = None if headings else _by_tags(body, tags)
    else:
        found = _by_headings(body, headings, is_end_known=closing is not None)
    if found is None or not (found.base and found.essay_a and found.essay_b):
        return None
    base = "\n\n".join(part for part in (found.base, (closing or "").strip()) if part)
    return SplitPrompt(base=base, essay_a=found.essay_a, essay_b=found.essay_b)


def _by_tags(body: str, tags: list[re.Match[str]]) -> SplitPrompt | None:
    if [(tag[1], tag[2].lower()) for tag in tags] != _TAGS_IN_ORDER:
        return None
    open_a, close_a, open_b, close_b = tags
    if body[close_a.end() : open_b.start()].strip():
        return None
    return SplitPrompt(
        base=_joined(body[: open_a.start()], body[close_b.end() :]),
        essay_a=body[open_a.end() : close_a.start()].strip(),
        essay_b=body[open_b.end() : close_b.start()].strip(),
    )


def _by_headings(
    body: str, like_headings: list[re.Match[str]], *, is_end_known: bool
) -> SplitPrompt | None:
    if [like[1].lower() for like in like_headings] != _LETTERS:
        return None
    head_a, head_b = (_HEADING.match(body, like.start()) for like in like_headings)
    if head_a is None or head_b is None or _form(head_a) != _form(head_b):
        return None
    a, b = _section(body[head_a.end() : head_b.start()]), _section(body[head_b.end() :])
    if a is None or b is None or not _is_sound(a, b, is_end_known=is_end_known):
        return None
    if not (_is_heading(body, head_a) and _is_heading(body, head_b)):
        return None
    return SplitPrompt(base=_joined(body[: head_a.start()], b.rest), essay_a=a.text, essay_b=b.text)


def _is_sound(a: _Section, b: _Section, *, is_end_known: bool) -> bool:
    """Say whether it is certain where both essays end."""
    if a.fence != b.fence or a.rest:
        return False
    if a.fence:
        return True
    are_plain = _is_plain(a.text) and _is_plain(b.text)
    return are_plain and (is_end_known or not _may_hold_instructions(b.text))


def _form(heading: re.Match[str]) -> tuple[str | bool, ...]:
    """Say how a heading is written: both are written alike."""
    marks = ("mark", "open", "colon", "close", "late_colon")
    return (*((heading[name] or "").strip() for name in marks), heading["id"] is not None)


def _is_heading(body: str, heading: re.Match[str]) -> bool:
    """Say whether the signs around the words belong together, and where text may follow them."""
    opened, closed = (heading["open"] or "").strip(), (heading["close"] or "").strip()
    if {"[": "]"}.get(opened, opened) != closed:
        return False
    has_colon = bool(heading["colon"] or heading["late_colon"]) and not heading["rule"]
    return has_colon or heading.end() == len(body) or body[heading.end()] == "\n"


def _section(written: str) -> _Section | None:
    """Read what stands under a heading; None where its fence has no one end."""
    text = written.strip()
    fence = next((fence for fence in _FENCES if text.startswith(fence)), None)
    if fence is None:
        return _Section(text)
    first, *lines = text.split("\n")
    ends = [number for number, line in enumerate(lines) if line.lstrip().startswith(fence)]
    if first.removeprefix(fence).strip().lower() not in _LANGUAGES or len(ends) != 1:
        return None
    [end] = ends
    if lines[end].strip() != fence:
        return None
    inside, outside = "\n".join(lines[:end]), "\n".join(lines[end + 1 :])
    return _Section(inside.strip(), fence, outside.strip())


def _is_plain(essay: str) -> bool:
    """Say whether nothing in an essay, or at its edges, looks like a part of the prompt."""
    first, _, _ = essay.partition("\n")
    _, _, last = essay.rpartition("\n")
    return not (_RULE.fullmatch(first) or _RULE.fullmatch(last) or _SPEAKS_OF_ESSAYS.search(essay))


def _may_hold_instructions(essay: str) -> bool:
    """Say whether an essay that ends with the prompt may have instructions at its end."""
    _, _, below = essay.partition("\n")
    last = re.split(r"\n[ \t\r]*\n", essay)[-1]
    return bool(_SECTION.search(below) or _INSTRUCTION.search(last))


def _joined(before: str, after: str) -> str:
    return "\n\n".join(part for part in (before.strip(), after.strip()) if part)
