"""Somebody who looks at the page, and writes down what a browser complains about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped] # ships none
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Locator, Page

AT = "2026-11-28T19:30:00Z"
_PARTS: Final[tuple[Literal["region", "article"], ...]] = ("region", "article")
_NETWORK = "Failed to load resource"


class Viewer:
    """The page in a tab of its own."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.lost_requests: list[str] = []
        self.requests: list[str] = []
        self._url = url
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    async def open(self, path: str = "/", *, at: str = AT) -> None:
        """Load the page and wait for the first answer, good or bad; `at` is the browser's time."""
        await self.page.clock.install(time=at)
        await self.page.goto(f"{self._url}{path}")
        await expect(self.page.locator("#reach .badge")).not_to_have_text("Asking")

    async def later(self, seconds: float) -> None:
        """Let so much time pass for the page."""
        await self.page.clock.fast_forward(round(seconds * 1000))

    def part(self, title: str) -> Locator:
        """Give the section or card of this name."""
        region, article = (self.page.get_by_role(role, name=title, exact=True) for role in _PARTS)
        return region.or_(article)

    async def violations(self, *rules: str) -> list[Any]:
        """Say what axe finds: against WCAG 2.2 AA and good practice, or by these rules alone."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(AXE_SCRIPT)
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        options |= {"runOnly": rules} if rules else {"rules": {"target-size": {"enabled": True}}}
        found = await self.page.evaluate("options => axe.run(options)", options)
        return [
            (each["id"], node["html"], node["failureSummary"])
            for each in found["violations"]
            for node in each["nodes"]
        ]

    def _note(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        lost = message.text.startswith(_NETWORK)
        (self.lost_requests if lost else self.complaints).append(message.text)
