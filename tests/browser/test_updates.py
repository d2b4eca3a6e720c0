from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.browser.states import (
    broker_gone,
    failure,
    healthy,
    provider_open,
)

if TYPE_CHECKING:
    from tests.browser.fake_worker import FakeWorker
    from tests.browser.viewer import Viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_changes_at_the_worker_shows_two_seconds_later(
    viewer: Viewer, worker: FakeWorker
) -> None:
    await viewer.open()
    state = healthy()
    state["flow"]["verdicts_per_minute"] = 7.5
    state["at"] = "2026-11-28T19:31:00Z"
    worker.state = state
    await viewer.later(2)
    await expect(viewer.part("State")).to_contain_text("Verdicts a minute7.5")
    await expect(viewer.part("State")).to_contain_text("(5 hours 24 minutes)")


async def test_worker_that_is_gone_leaves_its_last_state_marked_as_old_until_it_is_back(
    viewer: Viewer, worker: FakeWorker
) -> None:
    await viewer.open()
    reach, state = viewer.page.locator("#reach"), viewer.part("State")
    worker.is_gone = True
    for seconds, next_try_s in ((2, 4), (4, 8), (8, 10), (10, 10)):
        await viewer.later(seconds)
        await expect(reach).to_contain_text("the worker cannot be reached")
        await expect(reach).to_contain_text(f"Trying again in {next_try_s} seconds")
    await expect(reach).to_contain_text(re.compile(r"No answer since 20:30:\d\d \(2\d seconds\)"))
    await expect(reach).to_contain_text(re.compile(r"What you see is of 20:30:\d\d"))
    await expect(state).to_contain_text("Last known: Healthy")
    await expect(state).to_contain_text("Verdicts a minute41.5")
    await expect(viewer.page.locator("html")).to_have_class("stale")
    await expect(viewer.page).to_have_title("No answer: llm-worker")

    worker.heal()
    await viewer.later(10)
    await expect(reach).to_contain_text("Live")
    await expect(state).not_to_contain_text("Last known")
    await expect(viewer.page.locator("html")).not_to_have_class("stale")
    assert viewer.lost_requests != []


async def test_page_opened_while_the_worker_is_away_says_so_and_goes_on_trying(
    viewer: Viewer, worker: FakeWorker
) -> None:
    worker.status = 503
    await viewer.open()
    await expect(viewer.part("State")).to_contain_text("No answer from the worker")
    await expect(viewer.part("State")).to_contain_text("answered with HTTP status 503")
    await expect(viewer.page.get_by_role("heading", name="Flow")).to_be_hidden()
    worker.heal()
    await viewer.later(4)
    await expect(viewer.part("State")).to_contain_text("Healthy")
    await expect(viewer.page.get_by_role("heading", name="Flow")).to_be_visible()


async def test_answer_that_is_no_state_is_not_shown(viewer: Viewer, worker: FakeWorker) -> None:
    await viewer.open()
    worker.state = []
    await viewer.later(2)
    await expect(viewer.page.locator("#reach")).to_contain_text("is a proxy in the way?")
    await expect(viewer.part("State")).to_contain_text("Last known: Healthy")


async def test_worker_that_does_not_answer_is_given_up_after_five_seconds(
    viewer: Viewer, worker: FakeWorker
) -> None:
    await viewer.open()
    worker.is_silent = True
    async with viewer.page.expect_request("**/api/v1/state"):
        await viewer.later(2)
    await expect(viewer.page.locator("#reach")).to_contain_text("Live")
    await viewer.later(5)
    await expect(viewer.page.locator("#reach")).to_contain_text("not answer within 5 seconds")


async def test_nothing_is_asked_while_the_tab_is_hidden(viewer: Viewer, worker: FakeWorker) -> None:
    await viewer.open()
    await _hide(viewer, hidden=True)
    asked = worker.asked
    await viewer.later(60)
    assert worker.asked == asked
    worker.state = broker_gone()
    await _hide(viewer, hidden=False)
    await expect(viewer.part("State")).to_contain_text("Unhealthy")


async def test_updates_can_be_paused(viewer: Viewer, worker: FakeWorker) -> None:
    await viewer.open()
    pause = viewer.page.get_by_role("button", name="Pause updates")
    await pause.click()
    await expect(pause).to_have_attribute("aria-pressed", "true")
    await expect(viewer.page.locator("#reach")).to_contain_text("Paused")
    asked = worker.asked
    worker.state = broker_gone()
    await viewer.later(60)
    assert worker.asked == asked
    await pause.click()
    await expect(viewer.part("State")).to_contain_text("Unhealthy")
    await expect(pause).to_have_attribute("aria-pressed", "false")


async def test_update_leaves_focus_selection_scroll_and_open_details_alone(
    viewer: Viewer, worker: FakeWorker
) -> None:
    worker.state = provider_open()
    await viewer.open()
    failures = viewer.part("Recent failures and dead letters")
    older = failures.get_by_role("group")
    await older.locator("summary").click()
    copy = failures.get_by_role("button", name=f"Copy request id {failure(1)['request_id']}")
    await copy.focus()
    page_y = await viewer.page.evaluate(
        "getSelection().selectAllChildren(document.querySelector('#failures .id')) ?? scrollY"
    )

    state = healthy()
    state["failures"] = [failure(-1), *provider_open()["failures"]]
    state["flow"]["verdicts_per_minute"] = 7.5
    worker.state = state
    await viewer.later(2)
    await expect(viewer.part("State")).to_contain_text("7.5")
    await expect(failures).to_contain_text(failure(-1)["request_id"])
    await expect(copy).to_be_focused()
    await expect(older).to_have_attribute("open", "")
    selected = await viewer.page.evaluate("String(getSelection())")
    assert selected == failure(0)["correlation_id"]
    assert page_y > 1000
    assert await viewer.page.evaluate("scrollY") > 1000


async def test_screen_reader_is_told_what_has_changed_and_nothing_else(
    viewer: Viewer, worker: FakeWorker
) -> None:
    await viewer.open()
    told = viewer.page.get_by_role("status")
    await expect(told).to_have_text("")
    worker.state = provider_open()
    await viewer.later(2)
    await expect(told).to_have_text(
        "The state: degraded. Provider anthropic: breaker open: it is left alone"
    )

    await told.evaluate(
        "node => new MutationObserver(() => { node.dataset.again = ''; })"
        ".observe(node, {childList: true, subtree: true, characterData: true})"
    )
    state = provider_open()
    state["health"]["warnings"] = ["something else"]
    worker.state = state
    await viewer.later(2)
    await expect(viewer.part("State")).to_contain_text("something else")
    await expect(told).not_to_have_attribute("data-again", "")

    worker.is_gone = True
    await viewer.later(2)
    await expect(told).to_have_text("The worker: gives no answer")


async def test_id_is_copied_by_its_button(viewer: Viewer) -> None:
    await viewer.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await viewer.open()
    wanted = failure(0)["correlation_id"]
    await viewer.page.get_by_role("button", name=f"Copy correlation id {wanted}").click()
    await expect(viewer.page.get_by_role("status")).to_have_text(f"Copied {wanted}")
    assert await viewer.page.evaluate("navigator.clipboard.readText()") == wanted


async def test_id_is_selected_where_the_browser_gives_no_clipboard(viewer: Viewer) -> None:
    await viewer.open()
    await viewer.page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    wanted = failure(0)["correlation_id"]
    await viewer.page.get_by_role("button", name=f"Copy correlation id {wanted}").click()
    await expect(viewer.page.get_by_role("status")).to_contain_text("Copy it with the keyboard")
    assert await viewer.page.evaluate("String(getSelection())") == wanted


async def _hide(viewer: Viewer, *, hidden: bool) -> None:
    await viewer.page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
