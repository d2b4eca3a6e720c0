"""Which settings are not as by default, for a page that anybody may read."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from llm_worker.settings.names import variables
from llm_worker.settings.runtime import value_of

if TYPE_CHECKING:
    from llm_worker.settings.model import Settings

_CREDENTIALS: Final = re.compile(r"[^\s/,]+@")
"""As in `https://user:password@host`."""
_MASK: Final = "***@"
_SET: Final = "set"


def differing(settings: Settings) -> dict[str, Any]:
    """Give the settings that differ from their defaults by name, as JSON has them, without secrets.

    A secret is the word "set", or empty where it is set to nothing.
    """
    written = settings.model_dump(mode="json", exclude_none=True)
    found: dict[str, Any] = {}
    for variable in variables().values():
        value = value_of(settings, variable.key)
        if value == variable.field.get_default(call_default_factory=True):
            continue
        if isinstance(value, SecretStr):
            found[variable.key] = _SET if value.get_secret_value() else ""
        else:
            found[variable.key] = masked(_at(written, variable.key))
    return found


def _at(written: Any, key: str) -> Any:  # noqa: ANN401 - each setting has a type of its own
    return reduce(lambda group, field: group.get(field), key.split("."), written)


def masked(value: Any) -> Any:  # noqa: ANN401 - each setting has a type of its own
    """Leave out what stands before the @ of an address, wherever in the value."""
    match value:
        case str():
            return _CREDENTIALS.sub(_MASK, value)
        case dict():
            return {key: masked(each) for key, each in value.items()}
        case list() | tuple():
            return [masked(each) for each in value]
        case _:
            return value
