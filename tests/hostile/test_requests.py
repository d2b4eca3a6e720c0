"""Thousands of records on both request lanes of a real broker, to one worker process.

What is lost, answered twice, answered otherwise than documented, or told to somebody whom it does
not concern shows as a difference between what must be there and what is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.codec import KafkaCodec
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane, ProviderName, TopicName
from llm_worker.domain.delivery import Delivery
from llm_worker.domain.outcome import Rejected
from tests.chaos.harness import FULL, sized
from tests.hostile.planted import leak_in
from tests.hostile.records import Fate, Hostile, RequestMaker
from tests.hostile.sending import send
from tests.support.builders import TARGET
from tests.support.wire import read_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from aiokafka import ConsumerRecord
    from aiokafka.structs import RecordMetadata

    from llm_worker.domain.request import ComparisonRequest
    from tests.support.worker import Installation, WorkerProcess

pytestmark = pytest.mark.timeout(1_800 if FULL else 120)

_COUNT: Final = sized(small=400, full=10_000)
_DRAINED_S: Final = 900.0 if FULL else 90.0
_LETTERED: Final = {"TIMEOUT", "CONFIGURATION_ERROR"}
"""What was understood and failed is set aside too, beside its answer."""
_REQUESTS: Final = frozenset(REQUEST_TOPICS.values())
_VERDICT: Final = ""


@dataclass(frozen=True, slots=True)
class _Sent:
    hostile: Hostile
    delivery: Delivery


@dataclass(frozen=True, slots=True, order=True)
class _Answer:
    """A result: where, for which request, to whom, and its error code."""

    topic: str
    request_id: str
    correlation_id: str
    code: str


async def test_every_record_is_answered_as_documented_and_none_ends_the_worker(
    installation: Installation,
    worker: WorkerProcess,
    draw: Random,
    found: Callable[[str], None],
) -> None:
    reply_topic = await installation.create_topic(f"huleedu.{installation.prefix}replies")
    maker, began_s = RequestMaker(draw, _reply_topics(installation, reply_topic)), monotonic()
    sent = await _sent(installation, draw, [maker.record() for _ in range(_COUNT)])
    await _until_drained(installation, worker)
    took_s = monotonic() - began_s

    held = {name: await _all_of(installation, topic) for name, topic in _told_on(installation)}
    results = held[TopicName.COMPARISON_RESULT] + await _all_of(installation, reply_topic)
    letters = held.pop(TopicName.DEAD_LETTER)
    answers = _answers(installation, sent, reply_topic)
    expected = Counter(answer for answer in answers.values() if answer is not None)
    assert _differences(expected, Counter(map(_answer_of, results))) == []
    _check_fates(sent, answers)
    _check_letters(sent, answers, letters)
    held[TopicName.COMPARISON_RESULT] = results
    await _check_discretion(worker, held)
    assert worker.is_running
    errors = [line for line in worker.log.splitlines() if '"level":"error"' in line]
    # A broker that has just started has no coordinator yet, and aiokafka says so.
    assert [line for line in errors if '"logger":"aiokafka' not in line] == []
    endings = Counter(answer.code or "verdict" for answer in expected.elements())
    size_mb = psutil.Process(worker.process.pid).memory_info().rss // 2**20
    found(f"{_COUNT} records: {took_s:.0f} s, worker {size_mb} MB, {len(letters)} dead letters")
    found(f"answers: {dict(endings.most_common())}")


def _reply_topics(installation: Installation, reply_topic: str) -> list[str]:
    """Give topics that may be asked for, the usable one as often as all others."""
    own = list(installation.topics.names_on_broker())
    wrong = ["__consumer_offsets", "huleedu.*", "huleedu.missing", "huleedu." + "x" * 300, "."]
    odd = [f"{reply_topic}\u202e", f"{reply_topic}\n", f"{reply_topic}/../x"]
    unusable = own + wrong + odd
    return [reply_topic] * len(unusable) + unusable


async def _sent(
    installation: Installation, draw: Random, records: Iterable[Hostile]
) -> list[_Sent]:
    places, topics = [], {lane: installation.request_topic(lane) for lane in Lane}
    async with installation.producer() as producer:
        for record in records:
            lane = draw.choice(tuple(Lane))
            place = await send(producer, topics[lane], draw.randrange(12), record)
            places.append((record, lane, place))
        await producer.flush()
    return [_Sent(record, _delivery(record, lane, await place)) for record, lane, place in places]


def _delivery(record: Hostile, lane: Lane, place: RecordMetadata) -> Delivery:
    return Delivery(
        lane=lane,
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        generation=1,
        key=record.key,
        value=record.value,
        headers=record.headers_as_read,
        received_s=0,
    )


async def _until_drained(installation: Installation, worker: WorkerProcess) -> None:
    """Wait until the group has committed all; a worker that ends is told of at once."""
    async with asyncio.timeout(_DRAINED_S):
        while True:
            assert worker.is_running, worker.log[-3_000:]
            try:
                async with asyncio.timeout(10):
                    await installation.until_committed()
            except TimeoutError:
                continue
            return


def _told_on(installation: Installation) -> list[tuple[TopicName, str]]:
    """Give what the worker publishes on."""
    topics = installation.topics
    return [(name, topics.on_broker(name)) for name in TopicName if name not in _REQUESTS]


async def _all_of(installation: Installation, topic: str) -> list[ConsumerRecord]:
    count = sum((await installation.ends(topic)).values())
    return await installation.read(topic, until=lambda records: len(records) >= count)


def _answers(
    installation: Installation, sent: Iterable[_Sent], reply_topic: str
) -> dict[_Sent, _Answer | None]:
    """Say what the documents promise each record; None: a dead letter alone."""
    topics = installation.topics
    codec = KafkaCodec(
        topics=topics,
        first_target=lambda: TARGET,
        clock=SystemClock(),
        longest_s=30,
    )
    default = topics.on_broker(TopicName.COMPARISON_RESULT)
    answers: dict[_Sent, _Answer | None] = {}
    for each in sent:
        read = codec.decode(each.delivery)
        if isinstance(read, Rejected):
            wanted, code = read.reply_topic, str(read.error.code)
        else:
            wanted, code = read.asked.callback_topic, _ending_of(read, reply_topic)
        answers[each] = (
            None
            if read.correlation_id is None
            else _Answer(
                reply_topic if wanted == reply_topic else default,
                str(read.request_id),
                str(read.correlation_id),
                code,
            )
        )
    return answers


def _ending_of(request: ComparisonRequest, reply_topic: str) -> str:
    asked = request.asked
    if asked.callback_topic not in (None, reply_topic):
        return "LLM_INVALID_CALLBACK_TOPIC"
    overrides = asked.llm_config_overrides
    if overrides and overrides.provider_override not in (None, ProviderName.MOCK):
        return "CONFIGURATION_ERROR"
    return _VERDICT if request.deadline_s > 0 else "TIMEOUT"


def _answer_of(record: ConsumerRecord) -> _Answer:
    event = read_event(record.value)
    error = event["data"]["error_detail"]
    code = error["error_code"] if error else _VERDICT
    return _Answer(record.topic, event["data"]["request_id"], event["correlation_id"], code)


def _differences(expected: Counter[_Answer], seen: Counter[_Answer]) -> list[str]:
    missing = [f"missing: {each}" for each in (expected - seen).elements()]
    return (missing + [f"nobody asked for: {each}" for each in (seen - expected).elements()])[:20]


def _check_fates(sent: Iterable[_Sent], answers: dict[_Sent, _Answer | None]) -> None:
    """Hold what must come of a record by the way it was made against what was decided."""
    for each in sent:
        answer = answers[each]
        is_verdict = answer is not None and answer.code == _VERDICT
        match each.hostile.fate:
            case Fate.VERDICT:
                assert is_verdict, (each.hostile.how, answer)
            case Fate.ERROR:
                assert not is_verdict, (each.hostile.how, answer)
            case Fate.OPEN:
                pass


def _check_letters(
    sent: Iterable[_Sent], answers: dict[_Sent, _Answer | None], letters: Iterable[ConsumerRecord]
) -> None:
    """Each is there once, as it came; what we say of it is added and quotes nothing."""
    wanted = {
        (each.delivery.topic, each.delivery.partition, each.delivery.offset): each.delivery
        for each in sent
        if (answer := answers[each]) is None or answer.code in _LETTERED
    }
    for letter in letters:
        said = dict(letter.headers)
        place = said["dlq.topic"].decode(), int(said["dlq.partition"]), int(said["dlq.offset"])
        delivery = wanted.pop(place)
        assert letter.value == delivery.value
        assert letter.key == (delivery.key or b"")
        count = len(delivery.headers)
        assert tuple(letter.headers[:count]) == delivery.headers
        ours = " ".join(f"{name} {value!r}" for name, value in letter.headers[count:])
        assert leak_in(ours) is None
    assert not wanted, f"not set aside: {list(wanted)[:20]}"


async def _check_discretion(
    worker: WorkerProcess, held: dict[TopicName, list[ConsumerRecord]]
) -> None:
    """Planted words come out nowhere but where the contract puts them."""
    said = {"log": worker.log}
    for path in ("/metrics", "/api/v1/state", "/healthz"):
        _, said[path] = await worker.get(path)
    for name, records in held.items():
        said[name] = "\n".join(f"{each.key} {each.value} {each.headers}" for each in records)
    leaks = {place: leak for place, text in said.items() if (leak := leak_in(text))}
    assert leaks == {}
    assert len(said["/metrics"]) < 200_000, "labels are not what callers write"
