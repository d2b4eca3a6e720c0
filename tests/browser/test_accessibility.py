from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.browser.states import STATES, provider_open

if TYPE_CHECKING:
    from tests.browser.fake_worker import FakeWorker
    from tests.browser.viewer import Viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("name", STATES)
async def test_axe_finds_nothing_in_light_nor_in_dark(
    viewer: Viewer, worker: FakeWorker, name: str
) -> None:
    worker.state = STATES[name]()
    await viewer.open()
    await _open_details(viewer)
    assert await viewer.violations() == []
    await viewer.page.emulate_media(color_scheme="dark")
    assert await viewer.violations("color-contrast") == []


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
async def test_axe_finds_nothing_while_the_worker_is_away(
    viewer: Viewer, worker: FakeWorker, color_scheme: str
) -> None:
    await viewer.page.emulate_media(color_scheme="dark" if color_scheme == "dark" else "light")
    worker.state = provider_open()
    await viewer.open()
    worker.is_gone = True
    await viewer.later(2)
    await expect(viewer.part("State")).to_contain_text("Last known")
    assert await viewer.violations() == []


async def test_axe_finds_nothing_on_a_phone_nor_before_the_first_answer(
    viewer: Viewer, worker: FakeWorker
) -> None:
    await viewer.page.set_viewport_size({"width": 320, "height": 640})
    worker.status = 500
    await viewer.open()
    assert await viewer.violations() == []
    worker.heal()
    worker.state = provider_open()
    await viewer.later(4)
    await expect(viewer.part("State")).to_contain_text("Degraded")
    await _open_details(viewer)
    assert await viewer.violations() == []


@pytest.mark.parametrize("name", STATES)
async def test_page_is_not_wider_than_a_small_phone(
    viewer: Viewer, worker: FakeWorker, name: str
) -> None:
    await viewer.page.set_viewport_size({"width": 320, "height": 640})
    worker.state = STATES[name]()
    await viewer.open()
    await _open_details(viewer)
    assert await viewer.page.evaluate("document.documentElement.scrollWidth") == 320


async def test_tables_are_tables_on_a_phone_too(viewer: Viewer, worker: FakeWorker) -> None:
    await viewer.page.set_viewport_size({"width": 320, "height": 640})
    worker.state = provider_open()
    await viewer.open()
    session = await viewer.page.context.new_cdp_session(viewer.page)
    tree = await session.send("Accessibility.getFullAXTree")
    roles = Counter(node["role"]["value"] for node in tree["nodes"] if not node["ignored"])
    assert (roles["table"], roles["columnheader"]) == (4, 6 + 5 + 3 + 5)
    assert (roles["rowheader"], roles["row"]) == (2 + 5 + 2 + 3, 3 + 6 + 3 + 4)
    assert roles["cell"] == 2 * 5 + 5 * 4 + 2 * 2 + 3 * 4


async def test_everything_is_reached_by_keyboard_in_order_and_seen_to_be_focused(
    viewer: Viewer, worker: FakeWorker
) -> None:
    worker.state = provider_open()
    await viewer.open()
    for expected in (
        "Skip to the state of the worker",
        "Pause updates",
        *["Copy"] * 8,
        "3 older failures",
        *("6 partitions", "4 partitions"),
        *("healthz", "readyz", "metrics", "api/v1/state", "api/openapi.json"),
    ):
        await viewer.page.keyboard.press("Tab")
        focused = viewer.page.locator(":focus")
        await expect(focused).to_have_text(expected)
        await expect(focused).to_have_css("outline-style", "solid")


async def test_skip_link_goes_to_the_state(viewer: Viewer) -> None:
    await viewer.open()
    await viewer.page.keyboard.press("Tab")
    link = viewer.page.get_by_role("link", name="Skip to the state")
    await expect(link).to_be_in_viewport()
    await viewer.page.keyboard.press("Enter")
    await expect(viewer.page.get_by_role("main")).to_be_focused()


async def test_details_open_by_the_enter_key(viewer: Viewer, worker: FakeWorker) -> None:
    worker.state = provider_open()
    await viewer.open()
    oldest = viewer.page.get_by_text("40000000-0000-0000-0000-000000000007")
    await expect(oldest).to_be_hidden()
    await viewer.page.get_by_text("3 older failures").focus()
    await viewer.page.keyboard.press("Enter")
    await expect(oldest).to_be_visible()


async def test_headings_and_landmarks_lead_through_the_page(viewer: Viewer) -> None:
    await viewer.open()
    for role in ("banner", "main", "contentinfo"):
        await expect(viewer.page.get_by_role(role)).to_have_count(1)
    assert await viewer.page.get_by_role("heading", level=1).all_text_contents() == ["llm-worker"]
    assert await viewer.page.get_by_role("heading", level=2).all_text_contents() == [
        *["State", "Flow", "The last hour", "Providers", "Budget", "Kafka and cache"],
        *["Recent failures and dead letters", "Workers"],
        "Settings that differ from their defaults",
    ]


async def _open_details(viewer: Viewer) -> None:
    await viewer.page.evaluate(
        "document.querySelectorAll('details').forEach(each => { each.open = true; })"
    )
