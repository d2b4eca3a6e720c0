from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from llm_worker.contracts.state import StateV1
from tests.browser.states import STATES, healthy

if TYPE_CHECKING:
    from tests.browser.fake_worker import FakeWorker
    from tests.browser.viewer import Viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SHOWN = {
    "healthy": {
        "State": [
            "Healthy",
            "since 15:07:12 (5 hours 23 minutes). Verdicts flow.",
            "Ready: takes requests",
            *("Verdicts a minute41.5", "Failures a minute0", "Cost today$1.5643 of $10.00"),
            "Requests waiting34 gone in about 3 minutes",
        ],
        "Flow": [
            *("37 of 500", "52 of 4,000", "1.2 seconds", "Answered again without buying4"),
            *("▼ falls by 12 a minute", "about 3 minutes", "steady", "nothing waits"),
        ],
        "The last hour": ["Verdicts a minuteNow 56, lowest 24, highest 56", "highest $0.024"],
        "anthropic": [
            *("Breaker closed", "claude-haiku-4-5", "99.5% of 200 attempts, 1 failed"),
            *("p50 812 ms, p95 1,904 ms", "21 of 100", "80 of 500 used"),
            *("Last successjust now (20:29:59)", "Last failurenone yet", "$1.2543"),
        ],
        "google": ["Disabled", "To use it: set GOOGLE_API_KEY"],
        "Budget: Today": ["$1.5643 of $10.00, 15.6%", "Within the limit", "2026-11-28, UTC"],
        "Budget: This month": ["$41.07 of $200.00"],
        "Budget": ["Limits are hard", "$0.08 is set aside"],
        "Kafka": ["The broker answers", "0.4 seconds ago", "Partitions of this worker12"],
        "Cache": ["Redis answers", "40% of 1,204 lookups", "$0.62", "312 verdicts, 284 kB"],
        "Recent failures and dead letters": [
            *("50 seconds ago (20:29:10)", "SERVICE_UNAVAILABLE", "Failed, in the dead letters"),
            *("VALIDATION_ERROR", "Rejected", "anthropic, claude-haiku-4-5: 4 attempts", "nobody"),
            *("80000000-0000-0000-0000-000000000000", "40000000-0000-0000-0000-000000000000"),
        ],
        "Workers": ["judge-1:7", "this worker", "10.0.0.2", "6 partitions", ".v1: 0-2", "3, 5"],
        "Settings that differ from their defaults": [
            *("max_in_flight500", "providers.anthropic.api_keyset", "this worker's environment"),
            *("ops, for all workers", "1 hour 28 minutes ago (19:02:11)", "a provider flaps"),
        ],
    },
    "degraded": {
        "State": ["Degraded", "since 20:12:03 (18 minutes)", "publishing to Kafka fails"],
        "Flow": ["▲ grows by 5 a minute", "does not shrink", "unknown"],
        "Kafka": ["Publishing fails: finished results are held and sent again"],
    },
    "provider_open": {
        "State": ["Degraded", "provider anthropic: its circuit breaker is open"],
        "anthropic": [
            "Breaker open: it is left alone",
            "claude-haiku-4-5: open since 20:12:03 (18 minutes)",
            "62% of 200 attempts, 76 failed",
            "Last failure19 seconds ago (20:29:41)",
            "503 overloaded: the service is temporarily unavailable",
        ],
        "openai": [
            "20 of 20 (lowered from 100) and 14 waiting",
            "503 of 500 used, 3 waiting",
            *("for another 8 seconds", "$0.31, and 2 attempts of unknown cost"),
        ],
        "Recent failures and dead letters": ["3 older failures"],
    },
    "broker_gone": {
        "State": [
            *("Unhealthy", "since 20:27:30", "no Kafka broker has answered for 150 s"),
            *("Not ready: takes no requests", "no partition is assigned"),
            "Requests wait, and no verdict came in the last minute.",
            "Requests waitingunknown",
        ],
        "Flow": ["not known: this worker has no partition"],
        "Kafka": ["No broker answers", "3 minutes ago", "Partitions of this worker0"],
        "Workers": ["Unknown"],
    },
    "redis_gone": {
        "State": ["Degraded", "Redis does not answer"],
        "Cache": ["Redis does not answer: this worker remembers for itself", "in a row17"],
    },
    "no_traffic": {
        "State": ["Healthy", "No traffic: nothing is asked and nothing waits."],
        "Flow": ["Oldest in handnone", "unknown", "nothing waits"],
        "The last hour": ["Verdicts a minuteNo figures yet"],
        "anthropic": ["Success rateno calls yet", "Response timeunknown", "Last successnone yet"],
        "Cache": ["No Redis is set", "nothing looked up yet"],
        "Budget": ["no limit is set", "Limits are soft"],
        "Recent failures and dead letters": ["None since this worker started"],
        "Settings that differ from their defaults": ["every setting is at its default"],
    },
    "just_started": {
        "State": [
            *("no Kafka broker has answered yet", "Verdicts a minuteunknown", "Cost todayunknown"),
            "Whether verdicts flow is not known yet.",
        ],
        "Kafka": ["No broker has answered yet", "Last word from a brokernever"],
        "Budget": ["Not known yet"],
        "openai": ["Cost todayunknown"],
        "Workers": ["it does once a broker answers"],
    },
    "no_providers": {
        "Providers": [
            "No provider is configured.",
            "Set the key of one, such as ANTHROPIC_API_KEY",
        ],
    },
    "budget_over": {
        "Budget: Today": [
            *("$10.02 of $10.00, 100.2%", "Spent: calls are refused"),
            "3 attempts, not in the sum",
        ],
        "Budget: This month": ["85%", "Nearly spent"],
    },
}


@pytest.mark.parametrize("name", [name for name in STATES if name != "hostile"])
async def test_these_states_are_as_the_contract_has_them(name: str) -> None:
    StateV1.model_validate(STATES[name]())


@pytest.mark.parametrize("name", _SHOWN)
async def test_each_state_shows_what_is_so_in_words(
    viewer: Viewer, worker: FakeWorker, name: str
) -> None:
    worker.state = STATES[name]()
    await viewer.open()
    for title, words in _SHOWN[name].items():
        part = viewer.part(title)
        shown = await part.text_content() or ""
        assert [each for each in words if each not in shown] == [], shown


async def test_provider_that_cannot_be_used_has_no_figures_but_what_it_has_cost_today(
    viewer: Viewer, worker: FakeWorker
) -> None:
    state = healthy()
    state["providers"][1] |= {"enabled": False, "remedy": "enable it"}
    worker.state = state
    await viewer.open()
    await expect(viewer.part("openai").locator("dt")).to_have_text(["Cost today"])
    await expect(viewer.part("google").locator("dt")).to_have_count(0)


async def test_tab_and_header_say_the_state_and_which_worker_it_is(
    viewer: Viewer, worker: FakeWorker
) -> None:
    worker.state = STATES["broker_gone"]()
    await viewer.open()
    await expect(viewer.page).to_have_title("Unhealthy: llm-worker")
    header = viewer.page.get_by_role("banner")
    for words in ("0.1.0", "production", "since 15:07:00 (5 hours 23 minutes)", "judge-1:7"):
        await expect(header).to_contain_text(words)


async def test_ages_are_by_the_clock_of_the_worker(viewer: Viewer) -> None:
    await viewer.open(at="2026-11-28T23:00:00Z")
    await expect(viewer.part("State")).to_contain_text("(5 hours 23 minutes)")


async def test_numbers_are_in_the_words_of_the_browsers_language(
    german: Viewer, worker: FakeWorker
) -> None:
    worker.state = healthy()
    await german.open()
    await expect(german.part("State")).to_contain_text("41,5")
    await expect(german.part("Cache")).to_contain_text("1.204 lookups")


async def test_charts_have_axes_a_title_and_a_summary_in_words(
    viewer: Viewer, worker: FakeWorker
) -> None:
    state = healthy()
    state["history"]["failures"] = [None, None, 2, None, 0, 1]
    worker.state = state
    await viewer.open()
    charts = viewer.part("The last hour").get_by_role("img")
    await expect(charts).to_have_count(5)
    failures = charts.nth(1)
    await expect(failures).to_have_attribute(
        "aria-label", "Failures a minute in the last hour: Now 4, lowest 0, highest 8"
    )
    await expect(failures).to_have_text("0" + "5" + "10" + "1 hour ago" + "30 minutes" + "now")
    line = await failures.locator("path").get_attribute("d")
    assert line is not None
    assert line.count("M") == 2  # a dot, and a line after the gap
    assert line.count("L") == 1
