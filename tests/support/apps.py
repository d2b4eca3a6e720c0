"""The worker's Faust app without a broker: the real consumer on a fake thread."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from llm_worker.adapters.kafka.app import DeliveryApp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faust.types import TP

    from llm_worker.adapters.kafka.consumer import SafeConsumer


@dataclass(slots=True)
class FakeThread:
    """What the consumer's thread would do with the group coordinator."""

    accepts: bool = True
    answers: bool = True
    assigned: set[TP] = field(default_factory=set)
    ends: dict[TP, int] = field(default_factory=dict)
    commits: list[dict[TP, int]] = field(default_factory=list)
    last_heartbeat_s: float = 0.0
    fetched: list[dict[TP, list[Any]]] = field(default_factory=list)
    on_fetch: Callable[[], None] = lambda: None
    unread_from: list[dict[TP, int]] = field(default_factory=list)

    async def getmany(self, _active: object, _timeout: float) -> dict[TP, list[Any]]:
        self.on_fetch()
        return self.fetched.pop(0)

    async def unread(self, firsts: dict[TP, int]) -> None:
        self.unread_from.append(firsts)

    async def commit(self, offsets: dict[TP, int]) -> bool:
        self.commits.append(dict(offsets))
        if not self.answers:
            await asyncio.Event().wait()
        return self.accepts

    def assignment(self) -> set[TP]:
        return self.assigned

    def highwater(self, tp: TP) -> int | None:
        return self.ends.get(tp)

    def verify_event_path(self, _now: float, tp: TP) -> None:
        raise AssertionError(f"{tp} has no position, as in an outage right after its assignment")


@dataclass(slots=True)
class Drains:
    """What the app asks of its owner."""

    drained: list[bool] = field(default_factory=list)
    closed: int = 0

    async def drain(self, is_last: bool) -> None:  # noqa: FBT001 - as the app calls it
        self.drained.append(is_last)

    async def close(self) -> None:
        self.closed += 1


@contextmanager
def brokerless_app(drains: Drains) -> Iterator[DeliveryApp]:
    """Build an app; what Faust opens for its consumer thread is closed again."""
    app = DeliveryApp(
        "test",
        consumer_options={"bootstrap_servers": "127.0.0.1:1"},
        drain=drains.drain,
        closing=drains.close,
        site=None,
    )
    app.consumer_generation_id = 1
    yield app
    if app._consumer is not None:
        cast("Any", app._consumer)._thread_of_faust.thread_loop.close()


def consumer_of(app: DeliveryApp) -> tuple[SafeConsumer, FakeThread]:
    """Give the app's consumer, on a fake thread."""
    consumer: Any = app.consumer
    consumer._thread_of_faust = consumer._thread
    consumer._thread = FakeThread()
    return consumer, consumer._thread
