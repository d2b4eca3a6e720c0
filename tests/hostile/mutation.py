"""Documents and bytes made wrong, in ways that a seed decides."""

from __future__ import annotations

import json
import string
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from random import Random

_DEEP: Final = 300
_RAW_NUMBERS: Final = (
    *("1e400", "-1e400", "-0", "0.1e-999", "1E+2", "9" * 400, "NaN", "Infinity", "-Infinity"),
    *("18446744073709551616", "-9223372036854775809", "0x10", "01", "1.", "+1"),
)
_ODD_TEXTS: Final = (
    *("", " ", "\x00", "\x1b[31mred", "line\nbreak\r\n", "\u202eright to left\u202c", "\ufeff"),
    *("\u2028\u2029", "e\u0301" * 40, "\U0001f469\u200d\U0001f680", "%s%n{0}${x}", "../../etc"),
    *("' OR 1=1 --", "<script>alert(1)</script>", "\u0665\u0666", "null", "x" * 5_000),
    *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-11-23", "P1D", "infinity"),
)
_ODD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 2**31, 2**63, 2**64 - 1, -(2**63), 1e308, 5e-324, 0.5, -0.5),
    *([], {}, [[]], [None], {"": {"": None}}, {"a": [1, {"b": None}]}),
)


class Mutator:
    """Makes documents wrong; the same draws make the same ones."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self._raw: dict[str, str] = {}

    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """Give a value that nobody expects."""
        kind = self._draw.randrange(10)
        if kind < 4:
            return deepcopy(self._draw.choice(_ODD_VALUES))
        if kind < 7:
            return self._draw.choice(_ODD_TEXTS)
        if kind == 7:
            return self.raw(self._draw.choice(_RAW_NUMBERS))
        if kind == 8:
            return "".join(self._draw.choices(string.printable, k=self._draw.randrange(30)))
        return self.raw(self.nesting())

    def text(self) -> str:
        """Give a text that is hard to show."""
        return self._draw.choice(_ODD_TEXTS)

    def nesting(self, depth: int = _DEEP) -> str:
        """Give the text of a value nested deeply."""
        opening, closing = self._draw.choice((("[", "]"), ('{"a":', "}")))
        return opening * depth + "0" + closing * depth

    def raw(self, text: str) -> str:
        """Give a stand-in for `text`, which `written` puts there as it is."""
        name = f"@raw{len(self._raw)}@"
        self._raw[name] = text
        return name

    def written(self, document: object) -> bytes:
        """Write a document down."""
        text = json.dumps(document, ensure_ascii=self._draw.random() < 0.5)
        for name, raw in self._raw.items():
            text = text.replace(f'"{name}"', raw)
        self._raw.clear()
        return text.encode(errors="surrogatepass")

    def document(self, document: Any, times: int = 1) -> Any:  # noqa: ANN401 - any JSON value
        """Delete, replace, put in, or say twice, somewhere in a document."""
        mutated = deepcopy(document)
        for _ in range(times):
            mutated = self._once(mutated)
        return mutated

    def bytes_(self, value: bytes) -> bytes:
        """Flip, cut, repeat or overwrite a few bytes."""
        at = self._draw.randrange(len(value) + 1)
        end = min(len(value), at + self._draw.randrange(1, 20))
        match self._draw.randrange(5):
            case 0:
                flipped = bytes(each ^ (1 << self._draw.randrange(8)) for each in value[at:end][:2])
                return value[:at] + flipped + value[at + len(flipped) :]
            case 1:
                return value[:at]
            case 2:
                return value[:end] + value[at:end] * self._draw.randrange(1, 50) + value[end:]
            case 3:
                return value[:at] + self._draw.randbytes(end - at) + value[end:]
            case _:
                return value[:at] + value[end:]

    def _once(self, document: Any) -> Any:  # noqa: ANN401 - any JSON value
        parent, key = self._somewhere(document)
        if parent is None:
            return self.value()
        match self._draw.randrange(6):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, dict):
                parent[self._draw.choice((self.text(), "data", "metadata", "event_id", "new"))] = (
                    self.value()
                )
            case 2 if isinstance(parent, dict):
                # The same name twice: `raw` is replaced with its quotes.
                parent[self.raw(json.dumps(key))] = self.value()
            case _:
                parent[key] = self.value()
        return document

    def _somewhere(self, document: Any) -> tuple[Any, Any]:  # noqa: ANN401 - any JSON value
        parent, key, inner = None, None, document
        while (
            isinstance(inner, dict | list)
            and inner
            and (parent is None or self._draw.random() < 0.7)
        ):
            parent = inner
            key = self._draw.choice(
                list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            )
            inner = inner[key]
        return parent, key
