from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest
from aiokafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
)

from llm_worker.client.errors import ClientError, UnreachableError
from llm_worker.client.publishing import GIVE_UP_S
from llm_worker.client.sending import Sender
from llm_worker.client.submission import RequestRecord
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from aiokafka import AIOKafkaProducer

Delivery = asyncio.Future[object]
A_RECORD = RequestRecord(topic="t", key=b"k", value=b"v", headers=[])


@dataclass
class Kafka:
    """Opens producers: each takes what it gets in the way that the next ending says.

    An ending is None for a record that the broker takes, an error, or `...` for one that stays
    undecided. Without further endings all is taken.
    """

    endings: list[object] = field(default_factory=list)
    opened: int = 0
    sent: list[bytes] = field(default_factory=list)
    is_down: bool = False
    is_full: bool = False
    is_without_metadata: bool = False
    opens_within_s: float = 0

    def come_back(self) -> None:
        self.is_down = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AIOKafkaProducer]:
        if self.is_down and self.opened:
            raise UnreachableError("nobody there")
        if self.opened:
            await asyncio.sleep(self.opens_within_s)
        self.opened += 1
        closed = asyncio.Event()
        yield cast("AIOKafkaProducer", Producer(self, closed))
        closed.set()
        self.is_full = False

    async def send(self, value: bytes, closed: asyncio.Event) -> Delivery:
        if self.is_full:
            await closed.wait()
            raise ProducerClosed
        if self.is_without_metadata:
            await asyncio.Event().wait()  # as aiokafka does, also once the producer is closed
        self.sent.append(value)
        ending = self.endings.pop(0) if self.endings else None
        delivery: Delivery = asyncio.Future()
        if isinstance(ending, Exception):
            delivery.set_exception(ending)
        elif ending is None:
            delivery.set_result(None)
        return delivery


@dataclass
class Producer:
    kafka: Kafka
    closed: asyncio.Event

    async def send(self, _topic: str, *, value: bytes, **_rest: object) -> Delivery:
        return await self.kafka.send(value, self.closed)


def in_virtual_time(story: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(story)


def test_record_that_the_broker_takes_is_sent_once() -> None:
    async def story() -> None:
        kafka = Kafka()
        async with Sender(kafka.open) as sender:
            await (await sender.send(A_RECORD))
        assert (kafka.opened, kafka.sent) == (1, [b"v"])

    in_virtual_time(story())


@pytest.mark.parametrize("error", [KafkaTimeoutError(), OutOfOrderSequenceNumber()])
def test_what_fails_is_sent_again_through_another_producer(error: Exception) -> None:
    async def story() -> None:
        kafka = Kafka(endings=[error, error])
        async with Sender(kafka.open) as sender:
            first, second = await sender.send(A_RECORD), await sender.send(A_RECORD)
            await asyncio.gather(first, second)
        assert kafka.opened == 2
        assert len(kafka.sent) == 4

    in_virtual_time(story())


def test_what_a_retired_producer_leaves_undecided_is_sent_again() -> None:
    async def story() -> None:
        kafka = Kafka(endings=[..., KafkaTimeoutError()])
        async with Sender(kafka.open) as sender:
            undecided, failed = await sender.send(A_RECORD), await sender.send(A_RECORD)
            await asyncio.gather(undecided, failed)
        assert len(kafka.sent) == 4

    in_virtual_time(story())


def test_what_is_too_large_is_refused_for_good() -> None:
    async def story() -> None:
        kafka = Kafka(endings=[MessageSizeTooLargeError()])
        async with Sender(kafka.open) as sender:
            held = await sender.send(A_RECORD)
            with pytest.raises(MessageSizeTooLargeError):
                await held
        assert kafka.sent == [b"v"]

    in_virtual_time(story())


def test_record_that_nobody_takes_for_long_is_given_up() -> None:
    async def story() -> None:
        kafka = Kafka(endings=[KafkaTimeoutError()], is_down=True)
        async with Sender(kafka.open) as sender:
            before_s = asyncio.get_running_loop().time()
            held = await sender.send(A_RECORD)
            with pytest.raises(UnreachableError, match="not taken a request within 120 s"):
                await held
            assert asyncio.get_running_loop().time() - before_s >= GIVE_UP_S

    in_virtual_time(story())


def test_outage_that_ends_in_time_is_waited_out() -> None:
    async def story() -> None:
        kafka = Kafka(endings=[KafkaTimeoutError()], is_down=True)
        async with Sender(kafka.open) as sender:
            held = await sender.send(A_RECORD)
            asyncio.get_running_loop().call_later(60, kafka.come_back)
            await held
            await (await sender.send(A_RECORD))
        assert kafka.opened == 2

    in_virtual_time(story())


def test_leaving_ends_what_is_undecided() -> None:
    async def story() -> None:
        async with Sender(Kafka(endings=[...]).open) as sender:
            held = await sender.send(A_RECORD)
        assert held.cancelled()

    in_virtual_time(story())


def test_record_that_stays_undecided_is_given_up_and_its_producer_retired() -> None:
    """aiokafka's idempotent producer never gives up while it believes in a leader."""

    async def story() -> None:
        kafka = Kafka(endings=[...])
        async with Sender(kafka.open) as sender:
            held = await sender.send(A_RECORD)
            with pytest.raises(UnreachableError, match="not taken a request within 120 s"):
                await held
            await asyncio.sleep(10)
        assert (kafka.opened, kafka.sent) == (2, [b"v"])

    in_virtual_time(story())


def test_one_failure_costs_one_producer_however_many_records_follow() -> None:
    async def story() -> None:
        kafka = Kafka(endings=[KafkaTimeoutError()], opens_within_s=0.5)
        async with Sender(kafka.open) as sender:
            all_held = []
            for _ in range(200):
                all_held.append(await sender.send(A_RECORD))
                await asyncio.sleep(0.1)
            await asyncio.gather(*all_held)
        assert kafka.opened == 2

    in_virtual_time(story())


def test_record_whose_sender_has_gone_is_not_sent_later() -> None:
    async def story() -> None:
        kafka = Kafka(is_full=True)
        async with Sender(kafka.open) as sender:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await sender.send(A_RECORD)
            kafka.is_full, kafka.endings = False, [KafkaTimeoutError()]
            await (await sender.send(RequestRecord(topic="t", key=b"k", value=b"w", headers=[])))
        assert kafka.sent == [b"w", b"w"]

    in_virtual_time(story())


def test_record_that_waits_for_room_goes_through_the_next_producer() -> None:
    async def story() -> None:
        kafka = Kafka(is_full=True)
        async with Sender(kafka.open) as sender:
            waiting = asyncio.ensure_future(sender.send(A_RECORD))
            await asyncio.sleep(0)
            sender._must_mend.set()
            await (await waiting)
        assert kafka.sent == [b"v"]

    in_virtual_time(story())


def test_client_that_is_not_entered_says_so() -> None:
    async def story() -> None:
        sender = Sender(Kafka().open)
        with pytest.raises(ClientError, match="not open: use it within"):
            await sender.send(A_RECORD)
        async with sender:
            pass
        with pytest.raises(ClientError, match="not open"):
            await sender.send(A_RECORD)

    in_virtual_time(story())


def test_leaving_while_a_producer_is_being_replaced_ends_what_is_undecided() -> None:
    async def story() -> None:
        kafka = Kafka(endings=[KafkaTimeoutError()], opens_within_s=100)
        async with Sender(kafka.open) as sender:
            held = await sender.send(A_RECORD)
            await asyncio.sleep(50)
        assert held.cancelled()

    in_virtual_time(story())


def test_record_that_waits_for_metadata_goes_through_the_next_producer() -> None:
    async def story() -> None:
        kafka = Kafka(is_without_metadata=True)
        async with Sender(kafka.open) as sender:
            waiting = asyncio.ensure_future(sender.send(A_RECORD))
            await asyncio.sleep(0)
            kafka.is_without_metadata = False
            sender._must_mend.set()
            async with asyncio.timeout(10):
                await (await waiting)
        assert kafka.sent == [b"v"]

    in_virtual_time(story())


def test_record_that_waits_for_metadata_for_long_is_given_up() -> None:
    async def story() -> None:
        async with Sender(Kafka(is_without_metadata=True).open) as sender:
            async with asyncio.timeout(2 * GIVE_UP_S):
                held = await sender.send(A_RECORD)
            with pytest.raises(UnreachableError, match="not taken a request within 120 s"):
                await held

    in_virtual_time(story())


def test_leaving_ends_what_waits_for_metadata() -> None:
    async def story() -> None:
        async with Sender(Kafka(is_without_metadata=True).open) as sender:
            waiting = asyncio.ensure_future(sender.send(A_RECORD))
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            assert (await waiting).cancelled()

    in_virtual_time(story())


def test_record_that_is_decided_in_its_last_moment_is_not_given_up() -> None:
    async def story() -> None:
        loop, errors = asyncio.get_running_loop(), list[object]()
        loop.set_exception_handler(lambda _loop, context: errors.append(context))
        async with Sender(Kafka(endings=[...]).open) as sender:
            all_held = list[asyncio.Future[None]]()

            def decide() -> None:
                all_held[0].cancel()

            loop.call_later(GIVE_UP_S, decide)  # before the sender's own timer, in the same round
            all_held.append(await sender.send(A_RECORD))
            await asyncio.sleep(GIVE_UP_S + 1)
        assert errors == []

    in_virtual_time(story())
