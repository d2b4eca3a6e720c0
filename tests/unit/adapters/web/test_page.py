from __future__ import annotations

import asyncio
import re
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from llm_worker.adapters.web.page import page_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import TypeAlias

    _Client: TypeAlias = TestClient[web.Request, web.Application]

_STATIC = files("llm_worker.adapters.web").joinpath("static")
_NAMES = sorted(file.name for file in _STATIC.iterdir() if file.name != "index.html")
_PATHS = ["/", *(f"/static/{name}" for name in _NAMES)]
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "/": "text/html"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@pytest.fixture
async def client() -> AsyncIterator[_Client]:
    application = web.Application()
    application.add_routes(page_routes())
    async with TestClient(TestServer(application)) as client:
        yield client


@pytest.mark.parametrize("path", _PATHS)
async def test_each_file_is_served_with_its_type_and_no_more_rights_than_it_needs(
    client: _Client, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status == 200
    content = _STATIC.joinpath(path.removeprefix("/static/").replace("/", "index.html"))
    assert await answer.read() == content.read_bytes()
    assert answer.content_type == _TYPES[path.rpartition(".")[2]]
    assert answer.charset == "utf-8"
    headers = {name: answer.headers[name] for name in answer.headers if name in _HEADERS}
    assert headers == _HEADERS


@pytest.mark.parametrize("known", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
async def test_file_that_the_browser_has_is_not_sent_again(client: _Client, known: str) -> None:
    etag = (await client.get("/static/page.css")).headers["ETag"]
    answer = await client.get(
        "/static/page.css", headers={"If-None-Match": known.format(etag=etag)}
    )
    assert answer.status == 304
    assert await answer.read() == b""
    assert answer.headers["ETag"] == etag
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_file_that_has_changed_is_sent_again(client: _Client) -> None:
    page = await client.get("/", headers={"If-None-Match": '"of another version"'})
    assert page.status == 200
    etags = {(await client.get(path)).headers["ETag"] for path in _PATHS}
    assert len(etags) == len(_PATHS)


@pytest.mark.parametrize("path", ["/", "/static/page.js"])
async def test_head_tells_the_size_and_sends_nothing(client: _Client, path: str) -> None:
    whole, head = await client.get(path), await client.head(path)
    assert head.status == 200
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] != "0"
    assert await head.read() == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_page_takes_nothing(client: _Client, method: str) -> None:
    answer = await client.request(method, "/")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD"


@pytest.mark.parametrize(
    "path",
    [
        *("/static", "/static/", "/static/index.html", "/page.css", "/static/other.js"),
        *("/static/../page.py", "/static/%2e%2e/page.py", "/static/..%2fpage.py"),
        *("/static/./page.css/..", "/static//page.css", "//static/page.css", "/static/page.css/"),
        *("/static/page.css%00.js", "/static/..%5cpage.py", "/static/PAGE.CSS"),
        *("/../../../../etc/passwd", "/static//etc/passwd"),
    ],
)
async def test_no_other_path_is_served(client: _Client, path: str) -> None:
    assert await _status_of(client, path) == 404


async def test_paths_are_sent_as_they_stand(client: _Client) -> None:
    assert await _status_of(client, "/static/page.css") == 200


def test_page_names_nothing_that_is_elsewhere_and_has_no_script_nor_style_of_its_own() -> None:
    page = _STATIC.joinpath("index.html").read_text()
    assert re.findall(r"\son\w+=|\sstyle=|<style|<script(?! type=\"module\" src=)", page) == []
    for name in ("index.html", *_NAMES):
        text = _STATIC.joinpath(name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"https?:|(?:src|href)=\"/|url\(|@import|innerHTML|eval\(", text) == []


def test_page_asks_at_once_for_every_module_that_it_is_made_of() -> None:
    page = _STATIC.joinpath("index.html").read_text()
    linked = re.findall(r"(?:src|href)=\"static/([^\"]+)\"", page)
    assert sorted(linked) == _NAMES


async def _status_of(client: _Client, path: str) -> int:
    """Ask for a path that an HTTP client would tidy up first."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status
