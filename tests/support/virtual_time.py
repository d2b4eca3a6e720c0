"""An event loop whose time passes at once: whoever would wait an hour is woken after no time."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from selectors import SelectorKey


class _Selector(selectors.SelectSelector):
    """Never waits for I/O: it tells how long it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("the test waits for what nobody will ever do")
        if not ready:
            self.waited_s += max(0.0, timeout or 0.0)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs timers in their order, and lets no time pass between them."""

    def __init__(self) -> None:
        self._waiting = _Selector()
        super().__init__(self._waiting)

    @override
    def time(self) -> float:
        return 1_000.0 + self._waiting.waited_s
