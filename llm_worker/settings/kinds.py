"""The kinds of values that settings have, and the base of a group of them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FilePath,
    PlainSerializer,
    SecretStr,
    StringConstraints,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN_DECIMAL: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


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


def _parser_of(wanted: str, *, empty: str) -> Callable[[object], object]:
    def parsed(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return orjson.loads(value or empty)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"is no JSON ({error}): give {wanted}") from error

    return parsed


def _plain_decimal(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("is true or false: give a number")  # noqa: TRY004 - pydantic takes no other
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise ValueError("is no plain decimal: write it like 12.50, without sign, exponent or unit")
    return text


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
JsonText = BeforeValidator(_parser_of("a list of objects", empty="[]"))
JsonObjectText = BeforeValidator(_parser_of("an object", empty="{}"))
PlainDecimal = Annotated[
    Decimal,
    BeforeValidator(_plain_decimal),
    PlainSerializer("{:f}".format, return_type=str, when_used="json"),
]
"""A number as a person writes sums of money; JSON gets it as text, so that it stays exact."""
OptionalSecret = Annotated[SecretStr | None, Stripped, HeaderText]
"""A key as it goes into an HTTP header."""
Address = Annotated[str, StringConstraints(pattern=r"^[^\s/,]+:\d{1,5}$")]
OptionalFile = Annotated[FilePath | None, EmptyIsNone]


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )
