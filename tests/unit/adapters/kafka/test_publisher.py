"""Publishing: until the broker holds it, behind a breaker, with poisoned producers replaced."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
)

from llm_worker.adapters.kafka.broker_health import BrokerHealth
from llm_worker.adapters.kafka.publisher import KafkaPublisher
from llm_worker.application.ports import Refusal
from llm_worker.domain.breaker import BreakerState, CircuitBreaker
from llm_worker.domain.delivery import Record
from tests.support.fakes import LoopClock
from tests.support.producers import Broker

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

    from tests.support.producers import FakeProducer


@dataclass(slots=True)
class _Bench:
    """A publisher on fake brokers: one for our topics, one for callers' topics."""

    own: Broker = field(default_factory=Broker)
    foreign: Broker = field(default_factory=Broker)
    breaker: CircuitBreaker = field(
        default_factory=lambda: CircuitBreaker(failure_threshold=3, recovery_timeout_s=0.01)
    )
    retries: list[None] = field(default_factory=list)

    def publisher(self) -> KafkaPublisher:
        return KafkaPublisher(
            own=self.own.line(),
            foreign=self.foreign.line(),
            health=BrokerHealth(self.breaker, LoopClock()),
            limits={"ours": 10_000},
            on_retry=lambda: self.retries.append(None),
        )


@pytest.fixture
def bench() -> _Bench:
    return _Bench()


def _record(value: bytes | None = b"v", *, topic: str = "ours", is_own: bool = True) -> Record:
    return Record(topic=topic, key=b"k", value=value, headers=(("h", b"1"),), is_own=is_own)


def _foreign(value: bytes = b"v") -> Record:
    return _record(value, topic="theirs", is_own=False)


async def _until_away(publisher: KafkaPublisher) -> None:
    async with asyncio.timeout(10):
        while publisher.health.is_available:  # noqa: ASYNC110 - the breaker tells nobody
            await asyncio.sleep(0)


async def _publish(publisher: KafkaPublisher, *records: Record) -> list[Refusal | None]:
    async with asyncio.timeout(60):
        return await publisher.confirm([await publisher.send(record) for record in records])


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    _, pending = await asyncio.wait(tasks, timeout=10)
    assert not pending


async def test_records_are_held_in_their_order_when_confirm_returns(bench: _Bench) -> None:
    assert await _publish(bench.publisher(), *(_record(b"%d" % n) for n in range(5))) == [None] * 5
    assert bench.own.values() == [b"0", b"1", b"2", b"3", b"4"]
    assert bench.own.held[0] == (0, "ours", b"0", [("h", b"1")])
    assert len(bench.own.made) == 1


async def test_topics_of_callers_have_a_producer_of_their_own(bench: _Bench) -> None:
    await _publish(bench.publisher(), _record(b"ours"), _foreign(b"theirs"))
    assert (bench.own.values(), bench.foreign.values()) == ([b"ours"], [b"theirs"])


async def test_failed_publish_is_tried_until_the_broker_holds_it(bench: _Bench) -> None:
    failures = [KafkaConnectionError(), KafkaTimeoutError(), KafkaConnectionError()]
    bench.own.judge = lambda *_: failures.pop() if failures else None
    publisher = bench.publisher()
    assert await _publish(publisher, _record()) == [None]
    assert bench.own.values() == [b"v"]
    assert len(bench.retries) == 3
    assert publisher.health.is_available


async def test_poisoned_producer_is_replaced_and_what_it_failed_is_sent_again(
    bench: _Bench,
) -> None:
    """After one refused record the broker refuses all that follow from the same producer."""

    refusal: Exception = TopicAuthorizationFailedError()
    out_of_order: Exception = OutOfOrderSequenceNumber()

    def poisoned(producer: FakeProducer, _topic: str, value: bytes | None) -> Exception | None:
        if producer.number > 0:
            return None
        if value == b"poison":
            producer.is_poisoned = True
            return refusal
        return out_of_order if producer.is_poisoned else None

    bench.own.judge = poisoned
    publisher = bench.publisher()
    records = [_record(value) for value in (b"a", b"poison", b"b", b"c")]
    assert await _publish(publisher, *records) == [None] * 4
    assert sorted(bench.own.values(), key=str) == [b"a", b"b", b"c", b"poison"]
    assert len(bench.own.made) == 2
    await publisher.stop()
    assert bench.own.stopped == [0, 1]


async def test_late_failures_of_a_replaced_producer_do_not_replace_the_next_one(
    bench: _Bench,
) -> None:
    bench.own.judge = lambda producer, *_: (
        OutOfOrderSequenceNumber() if producer.number == 0 else None
    )
    await _publish(bench.publisher(), *(_record(b"%d" % n) for n in range(20)))
    assert len(bench.own.made) == 2


async def test_failures_open_the_breaker_and_a_success_closes_it(bench: _Bench) -> None:
    states: list[BreakerState] = []
    failures = [KafkaConnectionError() for _ in range(4)]

    def judge(*_: object) -> Exception | None:
        states.append(bench.breaker.state)
        return failures.pop() if failures else None

    bench.own.judge = judge
    publisher = bench.publisher()
    await _publish(publisher, _record())
    assert states[:3] == [BreakerState.CLOSED] * 3
    assert states[3:] == [BreakerState.HALF_OPEN] * 2  # each a probe, after a recovery timeout
    assert bench.breaker.state is BreakerState.CLOSED
    assert publisher.health.is_available


async def test_nothing_new_is_sent_while_the_breaker_is_open(bench: _Bench) -> None:
    """What cannot be published must not be bought."""
    bench.breaker = CircuitBreaker(failure_threshold=1, recovery_timeout_s=3_600)
    bench.own.judge = lambda *_: KafkaConnectionError()
    publisher = bench.publisher()
    held = asyncio.ensure_future(_publish(publisher, _record(b"held")))
    await _until_away(publisher)
    pulling = asyncio.ensure_future(publisher.ready())
    sending = asyncio.ensure_future(publisher.send(_record(b"new")))
    await asyncio.sleep(0.01)
    assert not pulling.done()
    assert not sending.done()
    await _cancel(held, pulling, sending)


async def test_endless_retry_ends_when_it_is_cancelled(bench: _Bench) -> None:
    bench.own.judge = lambda *_: KafkaConnectionError()
    publishing = asyncio.ensure_future(_publish(bench.publisher(), _record()))
    while len(bench.retries) < 2:  # noqa: ASYNC110 - the fake has no event to wait for
        await asyncio.sleep(0.001)
    await _cancel(publishing)


async def test_probe_that_is_cancelled_leaves_the_breaker_to_the_next_one(bench: _Bench) -> None:
    bench.own.judge = lambda *_: KafkaConnectionError()
    publisher = bench.publisher()
    probing = asyncio.Event()

    async def hang() -> AIOKafkaProducer:
        probing.set()
        await asyncio.Event().wait()
        raise AssertionError

    publishing = asyncio.ensure_future(_publish(publisher, _record()))
    async with asyncio.timeout(10):
        await _until_away(publisher)
        publisher._own.current = hang  # type: ignore[method-assign] # the next try is the probe
        await probing.wait()
    await _cancel(publishing)
    assert bench.breaker.state is not BreakerState.HALF_OPEN


async def test_who_waits_is_let_through_when_all_who_tried_have_given_up(bench: _Bench) -> None:
    """As in a rebalance in the midst of an outage: nobody else would find out that it is over."""
    bench.breaker = CircuitBreaker(failure_threshold=1, recovery_timeout_s=3_600)
    bench.own.judge = lambda *_: KafkaConnectionError()
    publisher = bench.publisher()
    held = asyncio.ensure_future(_publish(publisher, _record(b"held")))
    async with asyncio.timeout(10):
        await _until_away(publisher)
        waiting = asyncio.ensure_future(_publish(publisher, _record(b"new")))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        bench.own.judge = lambda *_: None
        await _cancel(held)
        assert await waiting == [None]
    assert publisher.health.is_available


async def test_defect_of_our_own_is_not_retried_for_ever(bench: _Bench) -> None:
    answers = [KafkaConnectionError()]

    def judge(*_: object) -> Exception | None:
        return answers.pop() if answers else ZeroDivisionError()

    bench.own.judge = judge
    with pytest.raises(ZeroDivisionError):
        await _publish(bench.publisher(), _record())


async def test_callers_topic_that_fails_is_refused_after_a_few_tries_and_opens_no_breaker(
    bench: _Bench,
) -> None:
    bench.foreign.judge = lambda *_: TopicAuthorizationFailedError()
    publisher = bench.publisher()
    record = _foreign()
    assert await _publish(publisher, record) == [Refusal.NOT_DELIVERABLE]
    assert bench.breaker.state is BreakerState.CLOSED
    assert publisher.health.is_available
    assert len(bench.retries) == 3


async def test_record_over_its_topics_limit_is_refused_without_being_sent(bench: _Bench) -> None:
    record = _record(b"x" * 10_000)
    assert await _publish(bench.publisher(), record) == [Refusal.TOO_LARGE]
    assert bench.own.made == []


async def test_headers_count_and_may_be_null(bench: _Bench) -> None:
    null = Record(topic="ours", key=b"k", value=b"v", headers=(("n", None),))
    assert await _publish(bench.publisher(), null) == [None]
    big = Record(topic="ours", key=b"k", value=b"v", headers=(("n", b"x" * 10_000),))
    assert await _publish(bench.publisher(), big) == [Refusal.TOO_LARGE]


async def test_record_in_too_large_a_batch_is_told_from_one_that_is_too_large(
    bench: _Bench,
) -> None:
    """The broker's limit is for the batch: alone, an innocent record fits."""

    def judge(producer: FakeProducer, _topic: str, value: bytes | None) -> Exception | None:
        is_batched = producer is bench.own.made[0]
        return MessageSizeTooLargeError() if is_batched or value == b"large" else None

    bench.own.judge = judge
    large, innocent = _record(b"large"), _record(b"innocent")
    refusals = await _publish(bench.publisher(), large, innocent)
    assert refusals == [Refusal.TOO_LARGE, None]
    assert bench.own.values() == [b"innocent"]
    assert bench.breaker.state is BreakerState.CLOSED


async def test_probe_that_is_too_large_leaves_the_breaker_to_the_next_one(bench: _Bench) -> None:
    """It tells nothing of the broker, and all others wait for what it does."""
    away = True

    def judge(_producer: FakeProducer, _topic: str, value: bytes | None) -> Exception | None:
        failure: Exception = KafkaConnectionError() if away else MessageSizeTooLargeError()
        return failure if away or value == b"large" else None

    bench.own.judge = judge
    publisher = bench.publisher()
    large = asyncio.ensure_future(_publish(publisher, _record(b"large")))
    async with asyncio.timeout(10):
        await _until_away(publisher)
        small = asyncio.ensure_future(_publish(publisher, _record(b"small")))
        away = False
        assert await large == [Refusal.TOO_LARGE]
        assert await small == [None]
    assert publisher.health.is_available


async def test_record_sent_alone_is_not_waited_for_for_ever(
    bench: _Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_worker.adapters.kafka.publisher._FOREIGN_PATIENCE_S", 0.01)
    bench.foreign.judge = lambda producer, *_: (
        MessageSizeTooLargeError() if producer.number == 0 else None
    )
    bench.foreign.silent = frozenset({1})
    assert await _publish(bench.publisher(), _foreign()) == [None]
    assert bench.foreign.values() == [b"v"]
    assert len(bench.foreign.made) == 3


async def test_future_that_a_retired_producer_leaves_undone_is_not_waited_for_for_ever(
    bench: _Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_worker.adapters.kafka.publisher._PATIENCE_S", 0.01)
    publisher = bench.publisher()
    sending = await publisher.send(_record())
    sending.future = asyncio.get_running_loop().create_future()
    assert await publisher.confirm([sending]) == [None]
    assert bench.own.values() == [b"v", b"v"]


async def test_broker_that_is_away_at_the_start_is_waited_for(bench: _Bench) -> None:
    bench.own.is_away = True
    publishing = asyncio.ensure_future(_publish(bench.publisher(), _record()))
    while len(bench.own.made) < 2:  # noqa: ASYNC110 - the fake has no event to wait for
        await asyncio.sleep(0.001)
    bench.own.is_away = False
    await publishing
    assert bench.own.values() == [b"v"]
    assert bench.own.stopped[0] == 0


async def test_broker_that_is_gone_is_noticed_by_one_record_too_and_its_return_at_once(
    bench: _Bench,
) -> None:
    """No record fails any more once its producer is retired: the next cannot even be started."""
    bench.breaker = CircuitBreaker(failure_threshold=3, recovery_timeout_s=3_600)
    publisher = bench.publisher()
    await _publish(publisher, _record())
    bench.own.judge, bench.own.is_away = lambda *_: KafkaTimeoutError(), True
    publishing = asyncio.ensure_future(_publish(publisher, _record(b"w")))
    while bench.breaker.state is not BreakerState.OPEN:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.001)
    bench.own.judge, bench.own.is_away = lambda *_: None, False
    assert await publishing == [None]
    assert publisher.health.is_available
    await asyncio.wait_for(publisher.ready(), timeout=1)


async def test_producers_of_callers_topics_that_do_not_start_say_nothing_of_ours(
    bench: _Bench,
) -> None:
    publisher, bench.foreign.is_away = bench.publisher(), True
    publishing = asyncio.ensure_future(_publish(publisher, _foreign()))
    while len(bench.foreign.made) < 5:  # noqa: ASYNC110 - the fake has no event to wait for
        await asyncio.sleep(0.001)
    assert publisher.health.is_available
    bench.foreign.is_away = False
    await publishing


async def test_stop_flushes_every_producer(bench: _Bench) -> None:
    publisher = bench.publisher()
    await _publish(publisher, _record(), _foreign())
    await publisher.stop()
    assert not any(producer.is_up for producer in bench.own.made + bench.foreign.made)
