"""HTTP requests as bytes: well formed ones, and whatever somebody may write to the port."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.hostile.mutation import Mutator
from tests.hostile.planted import KEY, TEXT

if TYPE_CHECKING:
    from random import Random

_PATHS: Final = (
    *("/", "/livez", "/readyz", "/healthz", "/metrics", "/api/openapi.json", "/static/page.js"),
    *("/api/v1/state", "/api/v1/usage", "/api/v1/providers", "/api/v1/admin/config"),
    *("/api/v1/admin/config/retry.attempts", "/api/v1/providers/mock/test", "/api/v1/comparison"),
)
_ODD_PATHS: Final = (
    *("/../../etc/passwd", "/static/../../settings.py", "/static/%2e%2e/%2e%2e/x", "//evil.test/"),
    *("/static/%00", "/%ff%fe", "/%", "/livez/", "/livez?" + "q" * 7_000, "/" + "a" * 9_000, "*"),
    *("http://evil.test/livez", "evil.test:443", "/livez#a", "/li\tvez", "/\u00e9", "", "/\\..\\x"),
    *("/api/v1/admin/config/" + "%2f" * 300, "/api/v1/providers/%0d%0aX:1/test", "http://[::1/"),
)
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PATCH")
_ODD_METHODS: Final = ("get", "G ET", "X" * 300, "\x00", "PRI", "M-SEARCH", "\u0413\u0415\u0422")
_VERSIONS: Final = ("HTTP/1.0", "HTTP/1.1 ", "HTTP/2.0", "HTTP/0.9", "HTTP/9.9", "http/1.1", "")
_ODD_HEADERS: Final = (
    *("Host: evil.test", "Host: 127.0.0.1, evil.test", "Host:", "Host: [::1", "Host: a\\b@c"),
    *("Origin: http://evil.test", "Origin: null", "Connection: upgrade", "Upgrade: websocket"),
    *(
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: 1e3",
        "Content-Length: " + "9" * 40,
    ),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: x", "Transfer-Encoding: chunked, identity"),
    *("Expect: 100-continue", f"Expect: {TEXT} {KEY}", "Content-Encoding: gzip"),
    *("Content-Encoding: br", "Content-Encoding: zstd", "Content-Encoding: x", "Range: bytes=0-"),
    *(
        "Content-Type: text/plain",
        "Content-Type: application/json; charset=utf-16",
        "Content-Type: ;",
    ),
    *("Content-Type: application/json; charset=nonsense", "Content-Type: multipart/form-data"),
    *(
        "If-None-Match: *",
        'If-None-Match: W/"',
        "If-None-Match: " + '"x",' * 500,
        "Cookie: a=b; ;=;",
    ),
    *(f"Authorization: Bearer {KEY}", f"Authorization: Basic {KEY}", "Authorization: Bearer"),
    *(f"X-API-Key: {KEY}", f"X-API-Key: {KEY}\x00", f"X-API-Key {KEY}", f" {KEY}: {TEXT}"),
    *("Idempotency-Key: ", "Idempotency-Key: " + "k" * 300, "Idempotency-Key: \u00e9\u20ac"),
    *(
        "traceparent: 00-0-0-0",
        "tracestate: \u00ff=\x7f",
        "X: " + "y" * 9_000,
        "X:\x0b",
        "X\u00e9: 1",
    ),
    *("Accept: \x01", "Accept: text/html", f"{TEXT}", ": x", "Via: 1.1 " + "a, " * 2_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """The bytes of a request; `is_sound`: it must be served, or told to come again."""

    how: str
    written: bytes
    is_sound: bool = False


class HttpMaker:
    """Makes requests; one in five is as it should be."""

    def __init__(self, draw: Random, admin_key: str, reply_topic: str) -> None:
        self._draw = draw
        self._mutator = Mutator(draw)
        self._admin_key = admin_key
        self._reply_topic = reply_topic

    def request(self) -> RawRequest:
        """Make the next one."""
        how = self._draw.choice(("sound", "line", "headers", "headers", "body", "body", "bytes"))
        match how:
            case "line":
                written = self._odd_line()
            case "headers":
                odd = self._draw.choices(_ODD_HEADERS, k=self._draw.randrange(1, 4))
                written = self._written(headers=odd)
            case "body":
                written = self._odd_body()
            case "bytes":
                written = self._mutator.bytes_(self._written())
            case _:
                return RawRequest(how=how, written=self._sound(), is_sound=True)
        return RawRequest(how=how, written=written)

    def _sound(self) -> bytes:
        if self._draw.random() < 0.5:
            return self._written(line=f"GET {self._draw.choice(_PATHS[:10])} HTTP/1.1", body=b"")
        return self._written()

    def _written(
        self,
        *,
        line: str = "POST /api/v1/comparison HTTP/1.1",
        headers: list[str] = [],  # noqa: B006 - never changed
        body: bytes | None = None,
    ) -> bytes:
        body = json.dumps(self._asked()).encode() if body is None else body
        usual = ["Host: 127.0.0.1", "Connection: close", "Content-Type: application/json"]
        lines = [line, *usual, f"Content-Length: {len(body)}", *headers, "", ""]
        return "\r\n".join(lines).encode("latin-1", errors="xmlcharrefreplace") + body

    def _asked(self) -> dict[str, Any]:
        asked: dict[str, Any] = {"user_prompt": TEXT, "essay_a": f"{TEXT} A", "essay_b": TEXT}
        if self._draw.random() < 0.8:
            asked["callback_topic"] = self._reply_topic
        return asked

    def _odd_line(self) -> bytes:
        method = self._draw.choice((*_METHODS, self._draw.choice(_ODD_METHODS)))
        path = self._draw.choice(self._draw.choice((_PATHS, _ODD_PATHS)))
        version = self._draw.choice(("HTTP/1.1", "HTTP/1.1", self._draw.choice(_VERSIONS)))
        is_admin = self._draw.random() < 0.3 and "admin" in path
        key = [f"X-API-Key: {self._admin_key if is_admin else KEY}"]
        body = json.dumps({"value": self._draw.choice((3, 4, -1, "x", None, [TEXT]))}).encode()
        return self._written(line=f"{method} {path} {version}", headers=key, body=body)

    def _odd_body(self) -> bytes:
        asked = self._asked()
        body = self._draw.choice((self._changed(asked), self._mutator.bytes_(self._changed(asked))))
        if self._draw.random() < 0.005:
            body = b'{"user_prompt": "' + b"x" * 3_600_000 + b'"}'
        kind = self._draw.randrange(6)
        if kind > 2:
            return self._written(body=body)
        line = ["POST /api/v1/comparison HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        line += ["Content-Type: application/json"]
        if kind == 0:
            sent = self._draw.choice((gzip.compress(body), gzip.compress(body)[:-5], _BOMB, body))
            line += ["Content-Encoding: gzip", f"Content-Length: {len(sent)}"]
        elif kind == 1:
            size = self._draw.choice(
                (b"%x" % len(body), b"%x;ext=1" % len(body), b"zz", b"-1", b"f" * 20)
            )
            line += ["Transfer-Encoding: chunked"]
            sent = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
        else:
            sent = body
            line += [f"Content-Length: {len(body) + self._draw.choice((-3, 7, 10**6, 10**12))}"]
        return "\r\n".join([*line, "", ""]).encode() + sent

    def _changed(self, asked: dict[str, Any]) -> bytes:
        return self._mutator.written(self._mutator.document(asked, self._draw.randrange(1, 3)))


_BOMB: Final = gzip.compress(b" " * 20_000_000)
