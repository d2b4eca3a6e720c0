"""The health page: / and the files it is made of, as they lie in static/."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_CONTENT_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_FILES: Final = (
    "chart.js",
    "dom.js",
    "favicon.svg",
    "overview.js",
    "page.css",
    "page.js",
    "parts.js",
    "polling.js",
    "providers.js",
    "records.js",
    "stores.js",
    "words.js",
)
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Asked again each time, and answered with 304: a page and scripts of two versions never meet.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    content: bytes
    content_type: str
    etag: str


def page_routes() -> list[web.RouteDef]:
    """Routes for an aiohttp application; all files are read now, and no path is looked up."""
    return [
        web.get("/", _serving("index.html")),
        *(web.get(f"/static/{name}", _serving(name)) for name in _FILES),
    ]


def _serving(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    file = _read(name)

    async def serve(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(etag.value in {"*", file.etag} for etag in known):
            response = web.Response(status=304, headers=_HEADERS)
        else:
            response = web.Response(
                body=file.content,
                content_type=file.content_type,
                charset="utf-8",
                headers=_HEADERS,
            )
        response.etag = file.etag
        return response

    return serve


@cache
def _read(name: str) -> _File:
    content = files("llm_worker.adapters.web").joinpath("static", name).read_bytes()
    suffix = name[name.rindex(".") :]
    return _File(
        content=content,
        content_type=_CONTENT_TYPES[suffix],
        etag=sha256(content).hexdigest()[:32],
    )
