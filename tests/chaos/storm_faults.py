"""What each fault of a storm does."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tests.chaos import redis_faults
from tests.chaos.brokers import fill_disk, move_leaders, until_in_sync
from tests.chaos.storm_excuses import Absence
from tests.chaos.storm_schedule import BEHAVIOURS, Fault
from tests.chaos.storm_stack import PROVIDERS, now

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tests.chaos.processes import WorkerProcess
    from tests.chaos.redis_faults import RedisFault
    from tests.chaos.storm_schedule import Planned
    from tests.chaos.storm_stack import Stack

_IN_SYNC_S: Final = 300.0


async def befall(stack: Stack, planned: Planned) -> None:
    """Let a fault happen; it is over on return."""
    await _WHAT_THEY_DO[planned.fault](stack, planned)


async def _lose_broker(stack: Stack, planned: Planned) -> None:
    kafka, node = stack.kafka, planned.choice % stack.nodes
    begin = now()
    stack.outages.append(Absence(begin=begin, end=datetime.max.replace(tzinfo=UTC)))
    match planned.fault:
        case Fault.BROKER_KILLED:
            await asyncio.to_thread(kafka.kill, node)
        case Fault.BROKER_STOPPED:
            await asyncio.to_thread(kafka.stop, node)
        case _:
            fill_disk(kafka, node)
    try:
        await asyncio.sleep(planned.for_s)
    finally:
        await asyncio.to_thread(kafka.restart, node)
    # The next node may go only when this one has everything again.
    await until_in_sync(kafka, stack.topics, timeout_s=_IN_SYNC_S)
    stack.outages[-1] = Absence(begin=begin, end=now())


async def _move_leaders(stack: Stack, _planned: Planned) -> None:
    await move_leaders(stack.kafka.bootstrap_servers, stack.topics)


async def _freeze(stack: Stack, planned: Planned) -> None:
    is_worker = planned.fault is Fault.WORKER_FROZEN
    frozen = _chosen(stack, stack.workers if is_worker else stack.accountants, planned)
    if is_worker:
        stack.interrupted(frozen)
    begin = now()
    frozen.freeze()
    stack.frozen.append(frozen)
    try:
        await asyncio.sleep(planned.for_s)
    finally:
        frozen.thaw()
        stack.frozen.remove(frozen)
        if not is_worker:
            stack.freezes.append(Absence(begin=begin, end=now()))


async def _kill(stack: Stack, planned: Planned) -> None:
    is_worker = planned.fault is Fault.WORKER_KILLED
    those = stack.workers if is_worker else stack.accountants
    victim = _chosen(stack, those, planned)
    those.remove(victim)
    if is_worker:
        stack.interrupted(victim)
    victim.kill()
    _ = stack.launch_worker() if is_worker else stack.launch_accountant()


async def _restart_all(stack: Stack, _planned: Planned) -> None:
    """Replace each, one at a time: the new one is there before the old one leaves."""
    for those, launch in _kinds(stack):
        for old in list(those):
            await launch().until_ready_or_ended(timeout_s=90)
            await stack.retire(old)


async def _scale(stack: Stack, planned: Planned) -> None:
    """Three workers and two accountants, then one of each, then as before."""
    stack.launch_worker()
    stack.launch_accountant()
    await asyncio.sleep(planned.for_s)
    for those, _ in _kinds(stack):
        for process in those[:-1]:
            await stack.retire(process)
    stack.launch_worker()


async def _flap(stack: Stack, planned: Planned) -> None:
    """Let one provider fail, or all of them."""
    name = (*PROVIDERS, *PROVIDERS, "")[planned.choice % 7]
    await stack.steer(name, {"always": BEHAVIOURS[planned.behaviour]})
    try:
        await asyncio.sleep(planned.for_s)
    finally:
        await stack.steer(name, {"always": {"kind": "verdict"}})


async def _flush_redis(stack: Stack, _planned: Planned) -> None:
    with _without_redis(stack):
        stack.redis.ask("FLUSHALL")


async def _hurt_redis(stack: Stack, planned: Planned) -> None:
    async with _REDIS_FAULTS[planned.fault](stack.redis, stack.proxy):
        with _without_redis(stack):
            await asyncio.sleep(planned.for_s)


@contextmanager
def _without_redis(stack: Stack) -> Iterator[None]:
    begin = now()
    try:
        yield
    finally:
        stack.absences.append(Absence(begin=begin, end=now()))


def _kinds(
    stack: Stack,
) -> tuple[tuple[list[WorkerProcess], Callable[[], WorkerProcess]], ...]:
    return (
        (stack.workers, stack.launch_worker),
        (stack.accountants, stack.launch_accountant),
    )


def _chosen(stack: Stack, those: list[WorkerProcess], planned: Planned) -> WorkerProcess:
    meant = [process for process in those if process not in stack.spared]
    return meant[planned.choice % len(meant)]


_REDIS_FAULTS: Final[dict[Fault, RedisFault]] = {
    Fault.REDIS_CUT: redis_faults.cut_off,
    Fault.REDIS_FULL: redis_faults.full,
    Fault.REDIS_KILLED: redis_faults.down,
    Fault.REDIS_PAUSED: redis_faults.paused,
    Fault.REDIS_SLOW: redis_faults.too_slow,
}
_WHAT_THEY_DO: Final[dict[Fault, Callable[[Stack, Planned], Coroutine[Any, Any, None]]]] = {
    Fault.BROKER_KILLED: _lose_broker,
    Fault.BROKER_STOPPED: _lose_broker,
    Fault.DISK_FULL: _lose_broker,
    Fault.LEADERS_MOVED: _move_leaders,
    Fault.ACCOUNTANT_FROZEN: _freeze,
    Fault.WORKER_FROZEN: _freeze,
    Fault.ACCOUNTANT_KILLED: _kill,
    Fault.WORKER_KILLED: _kill,
    Fault.ROLLING_RESTART: _restart_all,
    Fault.SCALED: _scale,
    Fault.PROVIDERS_FLAP: _flap,
    Fault.REDIS_FLUSHED: _flush_redis,
    **dict.fromkeys(_REDIS_FAULTS, _hurt_redis),
}
