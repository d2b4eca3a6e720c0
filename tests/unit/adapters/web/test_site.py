from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.web import bodies
from llm_worker.adapters.web.bodies import MAX_BODY_BYTES
from tests.support.site import ADMIN_KEY, FakeSite

if TYPE_CHECKING:
    from tests.support.site import Client

_COMPARISON = "/api/v1/comparison"


def _every_route() -> list[tuple[str, str]]:
    filled = {"{name}": "mock", "{setting}": "retry.attempts"}
    routes = []
    for each in FakeSite().operations():
        path = each.path
        for placeholder, value in filled.items():
            path = path.replace(placeholder, value)
        routes.append((each.method, path))
    return routes


@pytest.mark.parametrize(("method", "path"), _every_route())
async def test_every_route_refuses_other_methods_and_names_its_own(
    client: Client, method: str, path: str
) -> None:
    for wrong in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} - {
        known for known, other in _every_route() if other == path
    }:
        answer = await client.request(wrong, path, headers={"X-API-Key": ADMIN_KEY})
        assert answer.status == 405, wrong
        assert method in answer.headers["Allow"]
        assert (await answer.json())["error_type"] == "INVALID_REQUEST"


@pytest.mark.parametrize(("method", "path"), _every_route())
async def test_every_answer_forbids_to_guess_to_frame_and_to_keep_it(
    client: Client, method: str, path: str
) -> None:
    answer = await client.request(method, path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1/admin/config/a/b", "/api/v1/../admin/%2e%2e/config", "/livez/"]
)
async def test_what_is_not_there_is_404_in_json(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 404
    assert (await answer.json())["error"] == "there is nothing at this path"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_body_of_another_type_is_415_so_that_no_form_of_a_page_can_spend(
    client: Client, site: FakeSite, content_type: str
) -> None:
    answer = await client.post(
        _COMPARISON, data=b'{"user_prompt": "x"}', headers={"Content-Type": content_type}
    )
    assert answer.status == 415
    assert "application/json" in (await answer.json())["error"]
    assert not site.comparisons.compared


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"user_prompt": "\\ud800"}', b"[" * 100_000]
)
async def test_body_that_is_no_json_is_400_and_not_quoted(client: Client, body: bytes) -> None:
    answer = await client.post(_COMPARISON, data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    assert (await answer.json())["error_type"] == "VALIDATION_ERROR"


async def test_body_that_is_too_large_is_413_with_the_limit(client: Client) -> None:
    answer = await client.post(
        _COMPARISON,
        data=BytesIO(b'{"user_prompt": "' + b"x" * MAX_BODY_BYTES + b'"}'),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status == 413
    assert f"{MAX_BODY_BYTES:,}" in (await answer.json())["error"]


async def test_body_that_does_not_come_is_given_up(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_SLOW_S", 0.05)
    host, port = client.server.host, client.server.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        b"POST /api/v1/comparison HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    status = await reader.readline()
    assert b" 408 " in status
    writer.close()
    await writer.wait_closed()


async def test_usage_is_503_until_the_totals_are_read(client: Client, site: FakeSite) -> None:
    assert (await client.get("/api/v1/usage")).status == 200
    site.usage = None
    answer = await client.get("/api/v1/usage")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
