from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.web.guard import WrongKeys, is_loopback
from tests.support.site import ADMIN_KEY, API_KEY, FakeSite

if TYPE_CHECKING:
    from tests.support.site import Client

_ASKED = {"user_prompt": "Which is better?"}
_CONFIG = "/api/v1/admin/config"


async def _compare(client: Client, **headers: str) -> int:
    answer = await client.post("/api/v1/comparison", json=_ASKED, headers=headers)
    await answer.read()
    return answer.status


async def _config(client: Client, **headers: str) -> int:
    answer = await client.get(_CONFIG, headers=headers)
    await answer.read()
    return answer.status


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {API_KEY}"},
        {"Authorization": f"bearer  {API_KEY}"},
        {"X-API-Key": API_KEY},
    ],
)
async def test_key_comes_as_bearer_or_as_its_own_header(headers: dict[str, str]) -> None:
    async with FakeSite(api_key=API_KEY).client() as client:
        assert await _compare(client, **headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Basic {API_KEY}"},
        {"Authorization": "Bearer"},
        {"X-API-Key": API_KEY[:-1]},
        {"X-API-Key": ADMIN_KEY},
        {"X-API-Key": "clé"},
    ],
)
async def test_without_the_right_key_nothing_is_bought(headers: dict[str, str]) -> None:
    site = FakeSite(api_key=API_KEY)
    async with site.client() as client:
        answer = await client.post("/api/v1/comparison", json=_ASKED, headers=headers)
        body = await answer.json()
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="llm-worker"'
    assert body["error_type"] == "AUTHENTICATION_ERROR"
    assert API_KEY not in body["error"]
    assert not site.comparisons.compared


async def test_server_that_others_reach_sells_nothing_to_nobody_knows_whom() -> None:
    site = FakeSite(is_open=False)
    async with site.client() as client:
        answer = await client.post("/api/v1/comparison", json=_ASKED)
        body = await answer.json()
    assert answer.status == 403
    assert "LLM_WORKER_WEB__API_KEY" in body["error"]
    assert not site.comparisons.compared


async def test_anonymous_use_can_be_allowed() -> None:
    async with FakeSite(is_open=True).client() as client:
        assert await _compare(client, Host="worker.example") == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("127.0.0.1:99999999", 403),
    ],
)
async def test_on_loopback_a_foreign_host_name_is_a_page_that_was_turned_here(
    host: str, status: int
) -> None:
    async with FakeSite(is_local=True).client() as client:
        assert await _compare(client, Host=host) == status
        page = await client.get("/api/v1/usage", headers={"Host": host})
        assert page.status == status


async def test_admin_routes_are_not_there_without_a_key() -> None:
    site = FakeSite(admin_key=None)
    async with site.client() as client:
        nowhere = await client.get("/api/v1/nothing")
        answer = await client.get(_CONFIG, headers={"X-API-Key": ADMIN_KEY})
        assert (answer.status, await answer.json()) == (404, await nowhere.json())
        tried = await client.post("/api/v1/providers/mock/test")
        assert tried.status == 404
    assert not site.providers.tried


async def test_admin_routes_want_the_admin_key() -> None:
    async with FakeSite(api_key=API_KEY).client() as client:
        assert await _config(client) == 401
        assert await _config(client, **{"X-API-Key": API_KEY}) == 401
        assert await _config(client, **{"X-API-Key": ADMIN_KEY}) == 200


async def test_who_brings_many_wrong_keys_is_not_heard_for_a_minute() -> None:
    site = FakeSite()
    async with site.client() as client:
        for _ in range(10):
            assert await _config(client, **{"X-API-Key": "wrong"}) == 401
        answer = await client.get(_CONFIG, headers={"X-API-Key": ADMIN_KEY})
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "60"
        site.now_s += 60
        assert await _config(client, **{"X-API-Key": ADMIN_KEY}) == 200


async def test_caller_with_an_old_key_locks_no_operator_out() -> None:
    async with FakeSite(api_key=API_KEY).client() as client:
        for _ in range(11):
            await _compare(client, **{"X-API-Key": "old"})
        assert await _compare(client, **{"X-API-Key": API_KEY}) == 429
        assert await _config(client, **{"X-API-Key": ADMIN_KEY}) == 200


async def test_a_missing_key_is_no_wrong_one() -> None:
    async with FakeSite().client() as client:
        for _ in range(20):
            assert await _config(client) == 401
        assert await _config(client, **{"X-API-Key": ADMIN_KEY}) == 200


def test_peers_that_bring_wrong_keys_are_remembered_in_bounded_memory() -> None:
    wrong = WrongKeys(now_s=lambda: 0.0)
    for peer in range(5_000):
        wrong.note(str(peer))
    assert len(wrong._tries) == 1_000


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),  # noqa: S104 - it is what must be told apart
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_everything_else(host: str, expected: bool) -> None:  # noqa: FBT001 - a case
    assert is_loopback(host) is expected
