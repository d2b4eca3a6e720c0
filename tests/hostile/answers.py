"""Providers' answers: as recorded, and made wrong on their way."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.hostile.mutation import Mutator
from tests.hostile.planted import KEY, TEXT
from tests.support.recorded import VERDICT, names_of, recorded

if TYPE_CHECKING:
    from random import Random

    from llm_worker.contracts.vocabulary import ProviderName

_USAGE: Final = Path(__file__).parents[1] / "support/recorded_usage"
_HEADER_VALUES: Final = (
    *("", "0", "-1", "1e400", "9" * 5_000, "nan", "inf", "\u0665", "12ms", "6m0s", "1h" * 99),
    *("9" * 400 + "h", "2026-11-28T12:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00"),
    *("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 99 Oct 99999 07:28:00 +9999", "\x1b[31m", "false"),
    *("Mon, 1 Jan 0001 00:00:00 +2359", "\xff\xfe", "a" * 7_000, f"{KEY} {TEXT}"),
)
_HEADERS: Final = (
    *("retry-after", "retry-after-ms", "x-should-retry", "request-id", "x-request-id", "location"),
    *("content-type", "set-cookie", "link", "date", "www-authenticate", "connection", "upgrade"),
    *(
        f"x-ratelimit-{part}-{kind}"
        for part in ("limit", "remaining", "reset")
        for kind in ("requests", "tokens")
    ),
    *(
        f"anthropic-ratelimit-{kind}-{part}"
        for part in ("limit", "remaining", "reset")
        for kind in ("requests", "tokens", "input-tokens")
    ),
)
_WAYS: Final = (
    *("as it is", "usage", "usage", "body", "body", "bytes", "headers", "status", "planted"),
    *("encoding", "framing", "whole"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """The bytes of an answer; `body` is None where nobody can say what they mean."""

    how: str
    written: bytes
    body: dict[str, Any] | None


class AnswerMaker:
    """Makes answers of one provider wrong."""

    def __init__(self, draw: Random, name: ProviderName) -> None:
        self._draw = draw
        self._mutator = Mutator(draw)
        self._recorded = [recorded(name, each) for each in sorted(names_of(name))]
        self._usages = list(json.loads((_USAGE / f"{name}.json").read_bytes()).values())
        self._verdicts = [each for each in self._recorded if TEXT_OF_VERDICT in str(each.body)]

    def answer(self) -> Wire:
        """Give the next one."""
        one = self._draw.choice(self._verdicts if self._draw.random() < 0.7 else self._recorded)
        headers, body, status = dict(one.headers), json.loads(json.dumps(one.body)), one.status
        if status == 200 and self._draw.random() < 0.5:
            body |= self._draw.choice(self._usages)
        how = self._draw.choice(_WAYS)
        match how:
            case "usage":
                name = "usage" if "usage" in body else "usageMetadata"
                used = self._mutator.document(body.get(name), self._draw.randrange(1, 3))
                body |= {name: used}
            case "body":
                body = self._mutator.document(body, self._draw.randrange(1, 3))
            case "planted":
                body = self._plant(body)
            case "headers":
                headers |= self._odd_headers()
            case "status":
                status = self._draw.choice((*range(100, 600, 7), 200, 201, 204, 304, 999, 600, 0))
            case _:
                pass
        content = self._mutator.written(body)
        if how == "bytes":
            content = self._mutator.bytes_(content)
        return self._framed(how, status, headers, content)

    def _odd_headers(self) -> dict[str, str]:
        some = self._draw.sample(_HEADERS, k=self._draw.randrange(1, 4))
        return {name: self._draw.choice(_HEADER_VALUES) for name in some}

    def _framed(self, how: str, status: int, headers: dict[str, str], content: bytes) -> Wire:
        sent = content
        if how == "encoding":
            headers["content-encoding"], sent = self._encoded(content)
        headers.pop("transfer-encoding", None)
        headers["content-length"] = str(len(sent))
        if how == "framing":
            sent = self._misframe(headers, sent)
        lines = [f"HTTP/1.1 {status} Some reason", *(f"{k}: {v}" for k, v in headers.items())]
        written = "\r\n".join([*lines, "", ""]).encode("latin-1", errors="replace") + sent
        if how == "whole":
            written = self._mutator.bytes_(written)
        is_plain = how not in {"encoding", "framing", "whole", "headers", "status"}
        return Wire(how=how, written=written, body=_object(content) if is_plain else None)

    def _encoded(self, content: bytes) -> tuple[str, bytes]:
        return self._draw.choice(
            (
                ("gzip", gzip.compress(content)),
                ("gzip", gzip.compress(content)[:-9]),
                ("gzip", content),
                ("gzip, gzip", gzip.compress(gzip.compress(content))),
                ("deflate", zlib.compress(content)),
                ("deflate", content),
                ("br", content),
                ("zstd", content),
                ("identity", content),
                ("\x7f, x", content),
                ("gzip", _bomb()),
            )
        )

    def _misframe(self, headers: dict[str, str], content: bytes) -> bytes:
        odd = self._draw.choice(("-1", "9" * 30, "1", "", "0x10", str(len(content) + 5), "5, 5"))
        if self._draw.random() < 0.5:
            headers["content-length"] = odd
            return content
        headers["transfer-encoding"] = self._draw.choice(("chunked", "chunked, gzip", "x"))
        if self._draw.random() < 0.7:
            del headers["content-length"]
        size = self._draw.choice((b"%x" % len(content), b"ffffffffffffffffff", b"-1", b"1", b"zz"))
        return size + b"\r\n" + content + b"\r\n0\r\n\r\n"

    def _plant(self, body: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Put the planted words into every third text."""
        if isinstance(body, dict):
            return {name: self._plant(value) for name, value in body.items()}
        if isinstance(body, list):
            return [self._plant(value) for value in body]
        if isinstance(body, str) and self._draw.random() < 0.3:
            return self._draw.choice((f"{TEXT} {KEY}", f"{body} {TEXT}", f"key {KEY}\n"))
        return body


TEXT_OF_VERDICT: Final = json.loads(VERDICT)["justification"]


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * 20_000_000)


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found if isinstance(found, dict) else None
