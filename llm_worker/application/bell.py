"""Waiting for the world to change."""

from __future__ import annotations

import asyncio


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
