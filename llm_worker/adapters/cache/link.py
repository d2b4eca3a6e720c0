"""The one way to Redis: batched, within a hard time budget, behind a circuit breaker.

Whoever asks goes on without an answer when there is none in time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from llm_worker.adapters.cache.faults import REDIS_ERRORS, Fault, fault_of
from llm_worker.adapters.cache.sending import Command, sender_for
from llm_worker.domain.breaker import BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio import Redis, RedisCluster

    from llm_worker.adapters.cache.script import Script
    from llm_worker.adapters.cache.sending import Word
    from llm_worker.application.ports import Clock
    from llm_worker.domain.breaker import CircuitBreaker


LINGER_S: Final = 0.002
"""A batch costs as much as ten of its commands, and a verdict takes seconds."""
_PATIENCE_S: Final = 0.05
BATCHES_AT_ONCE: Final = 4
"""More would be smaller ones."""


class CacheAwayError(Exception):
    """Redis did not answer in time, refused, or is not asked at the moment.

    Its text never holds the URL or a value.
    """


class NotAskedError(CacheAwayError):
    """The last of these: Redis has not done it."""


class LinkObserver(Protocol):
    """Who is told how Redis does."""

    def redis_answered(self, seconds: float, error: str | None) -> None:
        """Note how long a batch took, and what kind of error it met, one of `Fault`."""

    def redis_breaker_moved(self, state: BreakerState) -> None:
        """Note the circuit breaker's new state."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A command, and who waits for its answer if anybody does."""

    command: Command
    future: asyncio.Future[Any] | None = None
    unheard: Callable[[], None] | None = None


class RedisLink:
    """Every call to Redis: those of a moment in one batch.

    A batch ends within the budget, for all who wait; its commands are then answered, or have met
    CacheAwayError; what met it, Redis may have done all the same. A script that Redis does not
    know is sent again with its text, after the rest of its batch. Batches may overtake each other.

    Args:
        client: As `connect` makes it; closed with this.
        budget_s: Seconds from a call to its end.
        breaker: A batch with any failure counts as one failure.
        clock: Measures batches, and tells the breaker's time.
        observer: Is told of every batch.
        linger_s: Seconds that a batch is open for more while another is under way, within the
            budget; with none under way it is sent with the loop's next turn.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        budget_s: float,
        breaker: CircuitBreaker,
        clock: Clock,
        observer: LinkObserver,
        linger_s: float = LINGER_S,
    ) -> None:
        self._linger_s = linger_s
        self._sender = sender_for(client)
        self._budget_s = budget_s
        self._breaker = breaker
        self._clock = clock
        self._observer = observer
        self._waiting: list[_Call] = []
        self._due_s: float | None = None
        self._flushing: asyncio.Handle | None = None
        self._batches: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._failure_count = 0

    def run(
        self, script: Script, keys: Sequence[str | bytes], *arguments: Word
    ) -> asyncio.Future[Any]:
        """Call a script; the future ends with its answer or CacheAwayError."""
        return self._enqueue(_script_call(script, keys, arguments))

    def command(self, *words: Word) -> asyncio.Future[Any]:
        """Send a plain command whose key is its second word; the future ends like that of `run`."""
        return self._enqueue(Command(words=words))

    def post_later(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        *arguments: Word,
        unheard: Callable[[], None],
    ) -> None:
        """Call a script with the next batch, or after a moment; `unheard` is called if it fails."""
        self._waiting.append(_Call(_script_call(script, keys, arguments), unheard=unheard))
        if self._flushing is None:
            loop = asyncio.get_running_loop()
            self._flushing = loop.call_later(_PATIENCE_S, self._flush)

    @property
    def is_available(self) -> bool:
        """Whether Redis is asked without doubt, as it is before the first call."""
        return self._breaker.state is BreakerState.CLOSED

    @property
    def failure_count(self) -> int:
        """Batches that failed since the last one that did not."""
        return self._failure_count

    async def aclose(self) -> None:
        """Let the batches under way end, within their budget, and close; later calls fail."""
        self._flush()
        while self._batches:
            await asyncio.wait(self._batches)
        self._is_closed = True
        await self._sender.aclose()

    def _enqueue(self, command: Command) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self._append(_Call(command, future))
        return future

    def _append(self, call: _Call) -> None:
        self._waiting.append(call)
        if self._due_s is None:
            loop = asyncio.get_running_loop()
            self._due_s = loop.time() + self._budget_s
            if self._flushing is not None:
                self._flushing.cancel()
            # With none under way a batch has nothing to wait for but the rest of this turn's calls;
            # else it goes when one ends, so that the busier it is, the larger batches get.
            linger_s = self._linger_s if self._batches else 0
            self._flushing = loop.call_later(linger_s, self._flush)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if not self._waiting or len(self._batches) >= BATCHES_AT_ONCE:
            return  # with the first batch that ends, which is due before these calls
        calls, self._waiting = self._waiting, []
        due_s, self._due_s = self._due_s, None
        if self._is_closed or not self._may_send():
            _fail(calls, NotAskedError("Redis is not asked at the moment"))
            return
        batch = asyncio.create_task(  # noqa: TID251 -- owned by this link, which awaits it
            self._exchange(calls, due_s or asyncio.get_running_loop().time() + self._budget_s)
        )
        self._batches.add(batch)
        batch.add_done_callback(self._ended)

    def _ended(self, batch: asyncio.Task[None]) -> None:
        self._batches.discard(batch)
        self._flush()

    def _may_send(self) -> bool:
        before = self._breaker.state
        is_allowed = self._breaker.allows(self._clock.monotonic())
        self._tell_if_moved(before)
        return is_allowed

    async def _exchange(self, calls: list[_Call], due_s: float) -> None:
        began_s = self._clock.monotonic()
        answers: list[Any] = []
        fault: Fault | None = Fault.OTHER
        try:
            answers = await self._answers([call.command for call in calls], due_s)
            fault = next(filter(None, map(fault_of, answers)), None)
        except REDIS_ERRORS as error:
            fault = fault_of(error)
        finally:
            # Also when it is cancelled, or met a defect of ours: nobody may wait for ever.
            try:
                self._note(fault, self._clock.monotonic() - began_s)
            finally:
                _settle(calls, answers, fault)

    async def _answers(self, commands: list[Command], due_s: float) -> list[Any]:
        async with asyncio.timeout(None) as limit:
            # Not timeout_at(due_s): when this process was late, and not Redis, the turn that
            # `reschedule` leaves is for the answer that has arrived meanwhile.
            timer = asyncio.get_running_loop().call_at(due_s, limit.reschedule, due_s)
            try:
                return await self._sender.send(commands)
            finally:
                timer.cancel()

    def _note(self, fault: Fault | None, seconds: float) -> None:
        before, now_s = self._breaker.state, self._clock.monotonic()
        if fault is None:
            self._failure_count = 0
            self._breaker.succeed()
        else:
            self._failure_count += 1
            self._breaker.fail(now_s)
        self._observer.redis_answered(seconds, fault)
        self._tell_if_moved(before)

    def _tell_if_moved(self, before: BreakerState) -> None:
        if self._breaker.state is not before:
            self._observer.redis_breaker_moved(self._breaker.state)


def _script_call(
    script: Script, keys: Sequence[str | bytes], arguments: tuple[Word, ...]
) -> Command:
    return Command(words=("EVALSHA", script.sha, len(keys), *keys, *arguments), script=script)


def _settle(calls: list[_Call], answers: list[Any], fault: Fault | None) -> None:
    if not answers:
        _fail(calls, CacheAwayError(f"Redis failed: {fault}"))
    for call, answer in zip(calls, answers, strict=False):
        own_fault = fault_of(answer)
        if own_fault is not None:
            _fail([call], CacheAwayError(f"Redis failed: {own_fault}"))
        elif call.future is not None and not call.future.done():
            call.future.set_result(answer)


def _fail(calls: list[_Call], error: CacheAwayError) -> None:
    for call in calls:
        if call.unheard is not None:
            call.unheard()
        if call.future is not None and not call.future.done():
            call.future.set_exception(type(error)(*error.args))  # each waiter adds its own frames
