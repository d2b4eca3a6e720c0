"""One fake provider's script, and what was asked of it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from llm_worker.dev.fake_providers.behaviours import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.dev.fake_providers.behaviours import Failure, Fault, Reply
    from llm_worker.dev.fake_providers.exchange import Call

    Behaviour = Reply | Failure | Fault

_KEPT_CALLS = 1000
_SECRET_HEADERS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "cookie"})


class Limits(BaseModel):
    """What the rate limit headers say; `reset_s` is the time until the limit is full again.

    Plenty by default, so that a worker that follows them is never slowed down.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int = Field(default=1_000_000, ge=0)
    requests_remaining: int = Field(default=999_999, ge=0)
    tokens: int = Field(default=1_000_000_000, ge=0)
    tokens_remaining: int = Field(default=999_999_000, ge=0)
    reset_s: float = Field(default=1.0, ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCall:
    """A call as it came in; header names in lower case, without those that carry a key."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(slots=True, eq=False)
class FakeProvider:
    """What one provider does with the next calls, and what it has seen.

    Counts: `calls` are the POSTs, which ask for verdicts, in flight or ended; `lookups` the GETs.
    `seen` are the last thousand of both. `statuses` counts answers by status; 0 stands for none.
    """

    name: ProviderName
    latency_s: float = 0.0
    limits: Limits = field(default_factory=Limits)
    standing: Behaviour = field(default_factory=Verdict)
    queued: deque[Behaviour] = field(default_factory=deque)
    seen: deque[SeenCall] = field(default_factory=lambda: deque(maxlen=_KEPT_CALLS))
    statuses: dict[int, int] = field(default_factory=dict)
    calls: int = 0
    lookups: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    _waiters: list[asyncio.Future[None]] = field(default_factory=list)

    def next(self, *behaviours: Behaviour) -> None:
        """Do these with the next calls, one each, after those that are queued already."""
        self.queued.extend(behaviours)

    def always(self, behaviour: Behaviour) -> None:
        """Do this whenever nothing is queued; a failure or a fault with lookups, too."""
        self.standing = behaviour

    def reset(self) -> None:
        """Be as at the start: good answers at once, nothing seen. Calls in flight stay counted."""
        self.latency_s, self.limits, self.standing = 0.0, Limits(), Verdict()
        self.calls = self.lookups = 0
        self.max_in_flight = self.in_flight
        for kept in (self.queued, self.seen, self.statuses):
            kept.clear()

    async def until(self, is_so: Callable[[FakeProvider], bool]) -> None:
        """Wait until this holds; looked at whenever a call arrives or ends."""
        while not is_so(self):
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    async def until_calls(self, count: int) -> None:
        """Wait until so many calls have come in."""
        await self.until(lambda provider: provider.calls >= count)

    async def until_in_flight(self, count: int) -> None:
        """Wait until exactly so many are in flight."""
        await self.until(lambda provider: provider.in_flight == count)

    def take(self, call: Call) -> Behaviour:
        """Say what to do with a call that the API has no objection to."""
        if call.method == "POST" and self.queued:
            return self.queued.popleft()
        return self.standing

    @contextmanager
    def noting(self, call: Call) -> Iterator[None]:
        """Count the call, and for as long as the context lasts as one in flight."""
        self._keep(call)
        is_call = call.method == "POST"
        self.calls += is_call
        self.lookups += not is_call
        self.in_flight += is_call
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self._tell()
        try:
            yield
        finally:
            self.in_flight -= is_call
            self._tell()

    def note_status(self, status: int) -> None:
        """Count an answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def _keep(self, call: Call) -> None:
        headers = {name.lower(): value for name, value in call.headers.items()}
        for secret in _SECRET_HEADERS & headers.keys():
            del headers[secret]
        self.seen.append(
            SeenCall(
                method=call.method,
                path=call.path,
                headers=headers,
                body=call.body,
            )
        )

    def _tell(self) -> None:
        if not self._waiters:
            return
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
