from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """Let no test here wait for the time."""
    return {"virtual": VirtualTimeLoop}
