"""Waiting for the world to change."""

from __future__ import annotations

import asyncio
import math
from typing import Final

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0


class Bell:
    """Wakes everybody who waits; a drain sends them all away."""

    def __init__(self) -> None:
        self._next = asyncio.Event()
        self._is_open = True

    @property
    def is_open(self) -> bool:
        """Whether anybody may wait."""
        return self._is_open

    async def wait(self, until_s: float) -> bool:
        """Wait for the next ring, at most until the monotonic `until_s`; False: let go."""
        if self._is_open:
            try:
                async with asyncio.timeout_at(until_s):
                    await self._next.wait()
            except TimeoutError:
                pass
        return self._is_open

    def ring(self) -> None:
        """Wake all who wait now."""
        rung, self._next = self._next, asyncio.Event()
        rung.set()

    def let_go(self) -> None:
        """Send all waiters away, and every later one, until `reopen`."""
        self._is_open = False
        self.ring()

    def reopen(self) -> None:
        """Take waiters again."""
        self._is_open = True


class Lookout:
    """Ever longer pauses between looks at what another process does; a drain ends them."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._pause_s = _FIRST_PAUSE_S

    async def pause(self, until_s: float = math.inf) -> bool:
        """Wait for the next look, at most until the monotonic `until_s`; False: let go."""
        next_s = asyncio.get_running_loop().time() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return await self._bell.wait(min(next_s, until_s))
