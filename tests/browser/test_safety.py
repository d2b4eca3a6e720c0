from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.browser.states import HOSTILE, hostile, provider_open

if TYPE_CHECKING:
    from tests.browser.fake_worker import FakeWorker
    from tests.browser.viewer import Viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")

_CANNOT = "This part cannot be shown"


async def test_markup_that_comes_from_outside_is_shown_as_text(
    viewer: Viewer, worker: FakeWorker
) -> None:
    worker.state = hostile()
    await viewer.open()
    for title in (
        *("State", "anthropic", "Recent failures and dead letters", "Workers"),
        "Settings that differ from their defaults",
    ):
        await expect(viewer.part(title)).to_contain_text(HOSTILE)
    await expect(viewer.page.locator("main img, main script")).to_have_count(0)
    await expect(viewer.page).to_have_title("Degraded: llm-worker")


async def test_browser_lets_no_script_run_that_is_not_the_pages(viewer: Viewer) -> None:
    await viewer.open()
    blocked = await viewer.page.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener("securitypolicyviolation",
                event => resolve(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "globalThis.ran = true";
            document.body.append(script);
            if (globalThis.ran) resolve("nothing");
        })"""
    )
    assert blocked == "script-src-elem"
    assert "Content Security Policy" in viewer.complaints.pop()


async def test_page_works_under_a_prefix(viewer: Viewer) -> None:
    await viewer.open("/ops/")
    await expect(viewer.part("State")).to_contain_text("Healthy")
    await expect(viewer.part("State").locator(".card")).to_have_css("border-radius", "8px")
    assert [url for url in viewer.requests if "/ops/" not in url] == []
    assert len(viewer.requests) > 10


async def test_parts_that_a_worker_of_another_version_does_not_tell_are_unknown(
    viewer: Viewer, worker: FakeWorker
) -> None:
    whole = provider_open()
    await viewer.open()
    for missing in whole:
        state = {name: part for name, part in whole.items() if name != missing}
        await _show(viewer, worker, state, f"without {missing}")


@pytest.mark.parametrize("thing", [None, "constructor", -1, True, [], [[]], {}], ids=repr)
async def test_parts_of_another_type_break_nothing(
    viewer: Viewer, worker: FakeWorker, thing: object
) -> None:
    await viewer.open()
    await _show(viewer, worker, dict.fromkeys(provider_open(), thing), "each section")
    await _show(viewer, worker, _with_leaves(provider_open(), thing), "each leaf")


async def test_part_that_cannot_be_shown_takes_no_other_along(
    viewer: Viewer, worker: FakeWorker
) -> None:
    await viewer.open()
    state = provider_open()
    state["history"]["lag"] = [0] * 300_000  # more than one call takes arguments
    await _show(viewer, worker, state, "too long", broken=1)
    await expect(viewer.part("The last hour")).to_contain_text(_CANNOT)
    await expect(viewer.part("State")).to_contain_text("Degraded")


async def _show(
    viewer: Viewer, worker: FakeWorker, state: dict[str, Any], why: str, *, broken: int = 0
) -> None:
    worker.state = state | {"at": "2026-11-28T19:30:00Z", "workers": [{"id": why}]}
    await viewer.later(2)
    await expect(viewer.part("Workers")).to_contain_text(why)
    await expect(viewer.page.locator("#reach")).to_contain_text("Live")
    await expect(viewer.page.get_by_text(_CANNOT)).to_have_count(broken)


def _with_leaves(whole: Any, leaf: object) -> Any:  # noqa: ANN401 - any JSON
    match whole:
        case dict():
            return {name: _with_leaves(part, leaf) for name, part in whole.items()}
        case list():
            return [_with_leaves(part, leaf) for part in whole]
        case _:
            return leaf
