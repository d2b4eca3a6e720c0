"""The Faust app of the worker: safe consumer, queues that block nobody, a drain with a deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import faust
from faust.exceptions import ConsumerNotStarted
from mode.utils.queues import ThrowableQueue
from typing_extensions import override

from llm_worker.adapters.kafka.consumer import SafeTransport
from llm_worker.adapters.kafka.server import BoundWeb
from llm_worker.adapters.kafka.tables import NoTables
from llm_worker.domain.delivery import size_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from collections.abc import Set as AbstractSet

    from faust.types import TP, Message
    from faust.types.web import Web

    from llm_worker.adapters.kafka.consumer import SafeConsumer
    from llm_worker.adapters.kafka.server import Site

_LAST_COMMIT_S = 10.0
_WEIGHT_BYTES = 16 * 1024


def _weight_of(event: Any) -> int:
    message = event.message
    return 1 + size_of(message.key, message.value, message.headers or ()) // _WEIGHT_BYTES


class UnblockedQueue(ThrowableQueue[Any]):
    """A queue that is never full for the conductor, and weighs what it holds.

    Faust's conductor waits for the full queue of one agent before it serves the next, so one lane
    would block the other. The pressure callbacks go on pausing the partitions; large records
    press more, so that the queue's memory is bounded, not only their number.
    """

    _weight = 0

    @override
    def full(self) -> bool:
        """Never make the conductor wait."""
        return False

    @override
    def qsize(self) -> int:
        """Give the weight: one a record, and one more for each 16 KiB of it."""
        return self._weight

    @override
    def clear(self) -> None:
        """Drop everything, at a rebalance."""
        super().clear()
        self._weight = 0

    @override
    def _put(self, item: Any) -> None:
        self._weight += _weight_of(item)
        super()._put(item)

    @override
    def _get(self) -> Any:
        item = super()._get()
        self._weight -= _weight_of(item)
        return item


class DeliveryApp(faust.App):
    """Faust with what it lacks for deliveries that must not be lost.

    `drain` is awaited with whether it is the last one, before partitions are given away and
    before the process stops; `closing` after the last drain. without a `site` nobody listens. An
    agent's queue holds about `buffer` records before their partitions are paused.
    """

    def __init__(
        self,
        group: str,
        *,
        consumer_options: Mapping[str, Any],
        drain: Callable[[bool], Awaitable[None]],
        closing: Callable[[], Awaitable[None]],
        site: Site | None,
        buffer: int = 1024,
        **options: Any,
    ) -> None:
        self._consumer_options = {**consumer_options, "group_id": group}
        self._drain = drain
        self._closing = closing
        self._site = site
        self._drained = asyncio.Event()
        self._queues: list[UnblockedQueue] = []
        super().__init__(
            group,
            key_serializer="raw",
            value_serializer="raw",
            # Or any BROKER_URL or WEB_PORT in somebody's shell would reconfigure it.
            env_prefix="LLM_WORKER_FAUST_",
            broker_commit_interval=1.0,
            stream_buffer_maxsize=buffer,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            TableManager=NoTables,
            web_enabled=site is not None,
            **options,
        )
        # Events go through a producer of our own: nobody uses Faust's.
        self.boot_strategy.enable_kafka_producer = False

    def has_queued(self) -> bool:
        """Say whether records wait for an agent to pull them."""
        return any(queue.qsize() for queue in self._queues)

    def spans(self) -> Mapping[TP, tuple[int, int | None]]:
        """Give each of our partitions' commit, 0 without one, and its end; None is unknown."""
        consumer = cast("SafeConsumer", self.consumer)
        return {
            tp: (committed or 0, consumer.highwater(tp))
            for tp, (committed, _) in consumer.spans().items()
        }

    def assigned(self) -> AbstractSet[TP]:
        """Give the partitions that are ours now."""
        try:
            assigned: AbstractSet[TP] = self.consumer.assignment()
        except ConsumerNotStarted:
            return frozenset()
        return assigned

    def ack(self, message: Message) -> None:
        """Let the consumer commit up to behind the message; called in gate order."""
        self.consumer.ack(message)

    @override
    def FlowControlQueue(
        self, maxsize: int | None = None, *, clear_on_resume: bool = False
    ) -> UnblockedQueue:
        """Make an agent's queue."""
        queue = UnblockedQueue(
            maxsize=maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume
        )
        self._queues.append(queue)
        return queue

    @override
    def _create_directories(self) -> None:
        """Keep nothing on disk: there are no tables."""

    @override
    def on_webserver_init(self, web: Any) -> None:
        """Serve our own pages only."""
        if self._site is not None:
            self._site.furnish(web.web_app)

    @override
    def _new_web(self) -> Web:
        if self._site is None:
            return super()._new_web()
        return BoundWeb(self, self._site)

    @override
    async def on_stop(self) -> None:
        """Drain, then let the owner close what it opened."""
        await super().on_stop()
        if not self._drained.is_set():
            # Without a partition Faust waits for nothing; calls that were handed over still run.
            is_last = True
            await self._drain(is_last)
            self._drained.set()  # partitions that come this late are let go at once
        await self._closing()

    @override
    async def _consumer_wait_empty(self, consumer: Any, logger: Any) -> None:
        """Drain and commit, both in bounded time, at a rebalance as at a shutdown."""
        is_last = self.should_stop
        await self._drain(is_last)
        # Not asyncio.wait_for: Faust swallows the cancellation. A dead broker must not hold us.
        commit = asyncio.ensure_future(consumer.wait_empty())
        await asyncio.wait({commit}, timeout=_LAST_COMMIT_S)
        if is_last:
            self._drained.set()

    @override
    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Keep the partitions while the last drain runs, or another would buy its calls again.

        Faust would close the consumer at once, and the drain could not commit.
        """
        if self.should_stop:
            await self._drained.wait()
        else:
            await super()._on_partitions_revoked(revoked)

    @override
    def _on_rebalance_when_stopped(self) -> None:
        """Leave the consumer alone: the shutdown stops it in its turn."""

    @override
    def _new_transport(self) -> SafeTransport:
        return self._safe_transport(self.conf.broker_consumer)

    @override
    def _new_producer_transport(self) -> SafeTransport:
        return self._safe_transport(self.conf.broker_producer)

    def _safe_transport(self, url: Any) -> SafeTransport:
        return SafeTransport(url, self, consumer_options=self._consumer_options)
