"""Whether the broker takes our records, and who waits while it does not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from llm_worker.domain.breaker import BreakerState

if TYPE_CHECKING:
    from llm_worker.application.ports import Clock
    from llm_worker.domain.breaker import CircuitBreaker


class BrokerHealth:
    """A breaker over what becomes of our own topics' records, for those who wait on it.

    Attributes:
        last_success_s: When the broker last took one, monotonic; None before the first.
        available_since_s: Since when it takes them, without a longer break.
    """

    def __init__(self, breaker: CircuitBreaker, clock: Clock) -> None:
        self._breaker = breaker
        self._clock = clock
        self._closed = asyncio.Event()
        self._closed.set()
        self._moved = asyncio.Event()
        self._has_no_producer = False
        self.last_success_s: float | None = None
        self.available_since_s = clock.monotonic()

    @property
    def is_available(self) -> bool:
        """Say whether the broker takes our records, as far as we know."""
        return self._breaker.state is BreakerState.CLOSED

    async def ready(self) -> None:
        """Wait while the breaker is open."""
        await self._closed.wait()

    async def until_allowed(self) -> None:
        """Wait for leave to try again: once it is closed, or as its probe."""
        while not self._breaker.allows(self._clock.monotonic()):
            is_probing = self._breaker.state is BreakerState.HALF_OPEN
            due_s = self._breaker.probe_due_in_s(self._clock.monotonic())
            # Thousands may wait here: the end of a probe wakes them, not a look at it each.
            with suppress(TimeoutError):
                async with asyncio.timeout(None if is_probing else due_s):
                    await self._moved.wait()

    def note_start(self, is_up: bool) -> None:  # noqa: FBT001 - as the line of producers calls it
        """Note whether a producer came up: without one no record even fails."""
        if not is_up:
            self._has_no_producer = True
            self.note_failure()
        elif self._has_no_producer:
            self._has_no_producer = False
            self.note_answer()

    def note_success(self) -> None:
        """Note that the broker holds a record."""
        self.last_success_s = self._clock.monotonic()
        self.note_answer()

    def note_answer(self) -> None:
        """Note that the broker has said something of a record, if not that it holds it."""
        if self._breaker.succeed():
            self.available_since_s = self._clock.monotonic()
            self._wake()
        self._closed.set()

    def note_failure(self) -> None:
        """Note that it does not."""
        if self._breaker.fail(self._clock.monotonic()):
            self._closed.clear()
            self._wake()

    def abandon(self) -> None:
        """Note that a try was given up: as the probe it would keep the breaker half open.

        It may have been the last one, and those who wait would have nobody who finds out for them.
        """
        self._breaker.abandon()
        self._closed.set()
        self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
