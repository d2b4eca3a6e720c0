from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.site import ADMIN_KEY, FakeSite

if TYPE_CHECKING:
    from tests.support.site import Client

_KEY = {"X-API-Key": ADMIN_KEY}
_CONFIG = "/api/v1/admin/config"


async def _ask(client: Client, method: str, path: str, **options: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
    answer = await client.request(method, path, headers=_KEY, **options)
    return answer.status, await answer.json()


async def test_settings_are_listed_and_shown(client: Client) -> None:
    status, listed = await _ask(client, "GET", _CONFIG)
    assert status == 200
    shown = await _ask(client, "GET", f"{_CONFIG}/retry.attempts")
    assert shown == (200, listed["settings"][0])
    assert shown[1]["value"] == 4


async def test_setting_is_changed_with_its_reason(client: Client, site: FakeSite) -> None:
    change = {"value": 7, "reason": "a bad evening"}
    status, changed = await _ask(client, "PUT", f"{_CONFIG}/retry.attempts", json=change)
    assert (status, changed["value"], changed["previous"]) == (200, 7, 4)
    assert site.config.reasons == ["a bad evening"]
    status, changed = await _ask(client, "DELETE", f"{_CONFIG}/retry.attempts")
    assert (status, changed["value"], changed["previous"]) == (200, 4, 7)


async def test_value_that_is_none_is_refused_and_changes_nothing(
    client: Client, site: FakeSite
) -> None:
    status, body = await _ask(client, "PUT", f"{_CONFIG}/retry.attempts", json={"value": "x"})
    assert (status, body["error_type"]) == (400, "VALIDATION_ERROR")
    assert site.config.value == 4


async def test_change_must_name_a_value(client: Client) -> None:
    status, body = await _ask(client, "PUT", f"{_CONFIG}/retry.attempts", json={})
    assert status == 400
    assert "value" in body["error"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_unknown_setting_is_404_with_the_nearest(client: Client, method: str) -> None:
    options = {"json": {"value": 1}} if method == "PUT" else {}
    status, body = await _ask(client, method, f"{_CONFIG}/nothing", **options)
    assert status == 404
    assert "retry.attempts" in body["error"]


@pytest.mark.parametrize(("word", "value"), [("enable", True), ("disable", False)])
async def test_provider_is_switched_by_its_setting(
    client: Client,
    site: FakeSite,
    word: str,
    value: bool,  # noqa: FBT001 - a case
) -> None:
    path = f"/api/v1/admin/providers/openai/{word}"
    status, body = await _ask(client, "POST", path)
    assert (status, body["name"], body["value"]) == (200, "providers.openai.enabled", value)
    status, _ = await _ask(client, "POST", path, json={"reason": "it is down"})
    assert status == 200
    assert site.config.reasons == [None, "it is down"]


async def test_unknown_provider_is_404_with_those_there_are(client: Client) -> None:
    for path in ("admin/providers/nobody/enable", "providers/nobody/test"):
        status, body = await _ask(client, "POST", f"/api/v1/{path}")
        assert status == 404
        assert "openai" in body["error"]


async def test_provider_is_tried_out(client: Client, site: FakeSite) -> None:
    status, body = await _ask(client, "POST", "/api/v1/providers/mock/test")
    assert (status, body) == (200, {"success": True, "provider": "mock", "message": "Essay A"})
    assert site.providers.tried == ["mock"]
