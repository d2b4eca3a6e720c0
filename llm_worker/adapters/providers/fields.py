"""Fields of a JSON object that may be missing, null, or not what they should be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llm_worker.adapters.providers.dialect import JsonObject

_NOTHING: Final[JsonObject] = {}
_CODE: Final = re.compile(r"[\w.:/-]{1,64}", re.ASCII)


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
    found = text_at(owner, name)
    return found if found is not None and _CODE.fullmatch(found) else None


def count_at(owner: JsonObject, name: str) -> int | None:
    """Give the number, 0 or more, in a field; None is unknown."""
    found = owner.get(name)
    if isinstance(found, bool) or not isinstance(found, int):
        return None
    return found if found >= 0 else None
