"""Redis as its connections look to the link, in this process; it answers when it is told to."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from llm_worker.adapters.cache.link import RedisLink
from llm_worker.domain.breaker import CircuitBreaker
from tests.support.fakes import LoopClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis.asyncio import Redis

    from llm_worker.domain.breaker import BreakerState


_NO_MORE = False
"""As hiredis says it."""


@dataclass(slots=True)
class FakeRedis:
    """Stands for the client and its pool.

    `answer` gives what is answered to a command, an exception among it; by default its last word.
    `delay_s` passes before each batch's answers, `connecting_s` before a connection is there.
    """

    answer: Callable[[list[bytes]], object] = lambda words: words[-1]
    delay_s: float = 0
    connecting_s: float = 0
    batches: list[list[list[bytes]]] = field(default_factory=list)
    idle: list[FakeConnection] = field(default_factory=list)
    made: list[FakeConnection] = field(default_factory=list)
    connected: int = 0
    is_closed: bool = False

    @property
    def connection_pool(self) -> FakeRedis:
        return self

    async def get_connection(self) -> FakeConnection:
        if self.idle:
            return self.idle.pop()
        await asyncio.sleep(self.connecting_s)
        self.connected += 1
        self.made.append(FakeConnection(self))
        return self.made[-1]

    async def release(self, connection: FakeConnection) -> None:
        if connection.is_connected:
            self.idle.append(connection)

    async def aclose(self) -> None:
        self.is_closed = True

    def link(
        self,
        observer: SeenByLink | None = None,
        *,
        budget_s: float = 0.05,
        linger_s: float = 0,
    ) -> RedisLink:
        """Give a link to it whose breaker opens for 1 s after three failures."""
        return RedisLink(
            cast("Redis", self),
            budget_s=budget_s,
            breaker=CircuitBreaker(failure_threshold=3, recovery_timeout_s=1),
            clock=LoopClock(),
            observer=observer or SeenByLink(),
            linger_s=linger_s,
        )


@dataclass(slots=True)
class FakeConnection:
    """Answers in order; broken off in the middle it is of no use any more, as redis-py's."""

    redis: FakeRedis
    is_connected: bool = True
    _unanswered: deque[list[bytes]] = field(default_factory=deque)

    async def send_packed_command(self, pieces: Iterable[bytes]) -> None:
        reader = hiredis.Reader()
        reader.feed(b"".join(pieces))
        batch = list(iter(reader.gets, _NO_MORE))
        self.redis.batches.append(batch)
        self._unanswered.extend(batch)
        try:
            await asyncio.sleep(self.redis.delay_s)
        except BaseException:
            await self.disconnect()
            raise

    async def read_response(self) -> Any:  # noqa: ANN401 - Redis answers anything
        if not self.is_connected:
            raise RedisConnectionError("it is gone")
        answer = self.redis.answer(self._unanswered.popleft())
        if isinstance(answer, Exception):
            if not isinstance(answer, ResponseError):
                await self.disconnect()
            raise answer
        return answer

    async def disconnect(self, *, nowait: bool = False) -> None:  # noqa: ARG002 - as redis-py has it
        self.is_connected = False


@dataclass(slots=True)
class SeenByLink:
    """Keeps what the link tells."""

    errors: list[str | None] = field(default_factory=list)
    states: list[BreakerState] = field(default_factory=list)

    def redis_answered(self, seconds: float, error: str | None) -> None:
        assert seconds >= 0
        self.errors.append(error)

    def redis_breaker_moved(self, state: BreakerState) -> None:
        self.states.append(state)
