"""The kinds of values that settings have, and the base of a group of them."""

from __future__ import annotations

from typing import Annotated

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FilePath,
    SecretStr,
    StringConstraints,
)


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value or "[]")
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is no JSON ({error}): give a list of objects") from error


def _as_header(value: SecretStr | str | None) -> SecretStr | str | None:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(
            "has a character that no HTTP header carries: type it again, without typographic "
            "quotes, accents or line breaks"
        )
    return value


def _stripped(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


CommaSeparated = BeforeValidator(_split)
HeaderText = AfterValidator(_as_header)
Stripped = BeforeValidator(_stripped)
AnyCase = BeforeValidator(_upper)
LowerCase = BeforeValidator(_lower)
EmptyIsNone = BeforeValidator(_none_if_empty)
JsonText = BeforeValidator(_parsed)
Address = Annotated[str, StringConstraints(pattern=r"^[^\s/,]+:\d{1,5}$")]
OptionalFile = Annotated[FilePath | None, EmptyIsNone]


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
