"""Fields of a JSON object that may be missing, null, or not what they should be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import wraps
from typing import TYPE_CHECKING, Final

from llm_worker.domain.verdict import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.adapters.providers.dialect import JsonObject

_NOTHING: Final[JsonObject] = {}
_CODE: Final = re.compile(r"[\w.:/-]{1,64}", re.ASCII)
_NAME: Final = re.compile(r"[\w.:/@~+-]{1,256}", re.ASCII)
_MOST_TOKENS: Final = 10**9
"""No call has as many."""
_LONGEST_NUMBER: Final = 18


def object_at(owner: JsonObject, name: str) -> JsonObject:
    """Give the object in a field; empty where there is none."""
    found = owner.get(name)
    return found if isinstance(found, Mapping) else _NOTHING


def objects_at(owner: JsonObject, name: str) -> list[JsonObject]:
    """Give the objects in a list; empty where there is no list."""
    found = owner.get(name)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def text_at(owner: JsonObject, name: str) -> str | None:
    """Give the text in a field; None where there is none."""
    found = owner.get(name)
    return found if isinstance(found, str) else None


def code_at(owner: JsonObject, name: str) -> str | None:
    """Give the text in a field where it looks like a code: it may stand in messages and logs."""
    return code_in(text_at(owner, name))


def code_in(text: str | None) -> str | None:
    """Give a text where it looks like a code, or like the id of something."""
    return text if text is not None and _CODE.fullmatch(text) else None


def name_in(text: str) -> str | None:
    """Give a text where it looks like the name of a model."""
    return text if _NAME.fullmatch(text) else None


def tier_at(owner: JsonObject, name: str) -> str | None:
    """Give what a field says of how a call was priced; of what is no text, "" has no price."""
    found = owner.get(name)
    return found if found is None or isinstance(found, str) else ""


def number_in(text: str | None) -> int | None:
    """Read a header that holds a number, 0 or more; None is untold."""
    if text is None or len(text) > _LONGEST_NUMBER or not text.isdecimal():
        return None
    return int(text)


def count_at(owner: JsonObject, name: str) -> int | None:
    """Give the number of tokens in a field; None is untold.

    Raises:
        ValueError: it is no such number; see `unless_odd`.
    """
    found = owner.get(name)
    if found is None:
        return None
    if type(found) is not int or not 0 <= found < _MOST_TOKENS:
        raise ValueError("no number of tokens")
    return found


def part_at(owner: JsonObject, name: str) -> JsonObject:
    """Give an object of counts, empty where it is untold.

    Raises:
        ValueError: it is no object; see `unless_odd`.
    """
    found = owner.get(name)
    if found is not None and not isinstance(found, Mapping):
        raise ValueError("no counts")
    return found or _NOTHING


def unless_odd(read: Callable[[JsonObject], Usage]) -> Callable[[JsonObject], Usage]:
    """Let a usage with any number that is none be unknown as a whole: its cost would be wrong."""

    @wraps(read)
    def read_if_sound(usage: JsonObject) -> Usage:
        try:
            return read(usage)
        except ValueError:
            return Usage()

    return read_if_sound
