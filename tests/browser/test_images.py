"""The images of docs/. `pytest tests/browser --images` writes them again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import pytest
from playwright.async_api import expect

from tests.browser.states import STATES

if TYPE_CHECKING:
    from tests.browser.fake_worker import FakeWorker
    from tests.browser.viewer import Viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")

_IMAGES = Path(__file__).parents[2] / "docs" / "images"


class _Image(NamedTuple):
    name: str
    state: str
    color_scheme: Literal["light", "dark"] = "light"
    is_phone: bool = False
    is_away: bool = False


_ALL = (
    _Image("page-healthy", "healthy"),
    _Image("page-breaker-open", "provider_open", "dark"),
    _Image("page-no-broker-phone", "broker_gone", is_phone=True),
    _Image("page-no-answer-phone", "healthy", "dark", is_phone=True, is_away=True),
)


@pytest.mark.parametrize("image", _ALL, ids=[image.name for image in _ALL])
async def test_image_in_the_documents_is_small(
    viewer: Viewer, worker: FakeWorker, image: _Image, request: pytest.FixtureRequest
) -> None:
    file = _IMAGES / f"{image.name}.png"
    if request.config.getoption("--images", default=False):
        worker.state = STATES[image.state]()
        await _pose(viewer, worker, image)
        await viewer.page.screenshot(path=file)
    assert file.stat().st_size < 150_000


async def _pose(viewer: Viewer, worker: FakeWorker, image: _Image) -> None:
    width, height = (390, 844) if image.is_phone else (960, 1180)
    await viewer.page.set_viewport_size({"width": width, "height": height})
    await viewer.page.emulate_media(color_scheme=image.color_scheme)
    await viewer.open()
    if image.is_away:
        worker.is_gone = True
        await viewer.later(2)
        await expect(viewer.page).to_have_title("No answer: llm-worker")
