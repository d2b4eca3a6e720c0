"""Topics that do not take what the worker publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.kafka import EmbeddedKafka
from tests.chaos.broker_rights import (
    AUTHORIZED,
    allow_writing,
    create_topic,
    delete_topic,
    deny_writing,
)
from tests.chaos.harness import FULL, sized
from tests.chaos.watch import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.evidence import Seen, Sent
    from tests.chaos.harness import NewScenario, Scenario
    from tests.chaos.processes import WorkerProcess

pytestmark = pytest.mark.timeout(3600 if FULL else 240)

_BREAKER = "llm_worker_publisher_breaker_state"
_RETRIES = "llm_worker_publish_retries_total"
_CLOSED, _OPEN = 0, 2
# One failure that counts would open it, and it would stay open.
_TOUCHY = {"breaker__failure_threshold": 1, "breaker__recovery_timeout_s": 600}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker whose rights can be changed."""
    directory = tmp_path_factory.mktemp("guarded")
    with EmbeddedKafka(directory, properties=AUTHORIZED) as kafka:
        yield kafka.bootstrap_servers


async def test_result_that_its_reply_topic_refuses_comes_on_the_default_topic(
    guarded: str, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "reply-refused",
        bootstrap_servers=guarded,
        providers__mock__latency_ms=2000,  # a topic is deleted meanwhile
        providers__mock__error_rate=0,
        **_TOUCHY,
    ) as scenario:
        denied, deleted = (scenario.catalog.prefix + name for name in ("denied", "deleted"))
        for topic in (denied, deleted):
            await create_topic(guarded, topic)
        await deny_writing(guarded, denied)
        worker = await scenario.start_worker()
        # One after the other: no other's success may close a breaker that should not have opened.
        refused = {denied: await scenario.load.send(callback_topic=denied)}
        await scenario.watch.until_answered([refused[denied]], timeout_s=60)
        assert await worker.metric(_BREAKER) == _CLOSED
        refused[deleted] = await scenario.load.send(callback_topic=deleted)
        await scenario.until_called(total=2)
        await delete_topic(guarded, deleted)
        # Answered while the worker still looks for the topic that is gone.
        others = await scenario.load.send_many(sized(small=50, full=1000))
        await scenario.watch.until_answered(others, timeout_s=60)
        report = await scenario.concluded()
        assert await worker.metric(_BREAKER) == _CLOSED
    report.require()
    for topic, sent in refused.items():
        result = _only_result(scenario, sent)
        assert result.place[0] == scenario.catalog.on_broker(TopicName.COMPARISON_RESULT)
        assert ("undeliverable_to", topic.encode()) in result.headers
        assert result.envelope["data"]["winner"]


async def test_result_that_is_too_large_for_its_topic_is_cut_down_and_says_so(
    guarded: str, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "too-large",
        bootstrap_servers=guarded,
        providers__mock__error_rate=0,
        reply_topics={"tiny": {"max.message.bytes": "2000"}},
        **_TOUCHY,
    ) as scenario:
        tiny = f"{scenario.catalog.prefix}tiny"
        default = scenario.catalog.on_broker(TopicName.COMPARISON_RESULT)
        worker = await scenario.start_worker()
        large = {
            tiny: await scenario.load.send(callback_topic=tiny, metadata={"much": "x" * 5_000}),
            default: await scenario.load.send(metadata={"much": "x" * 1_200_000}),
        }
        fitting = [await scenario.load.send(callback_topic=tiny) for _ in range(20)]
        report = await scenario.concluded()
        assert await worker.metric(_BREAKER) == _CLOSED
    report.require()
    for topic, sent in large.items():
        result = _only_result(scenario, sent)
        assert result.place[0] == topic
        metadata = result.envelope["data"]["request_metadata"]
        assert "much" not in metadata
        assert "too large" in metadata["metadata_dropped"]
        assert result.envelope["data"]["winner"]
    assert {_only_result(scenario, sent).place[0] for sent in fitting} == {tiny}


async def test_own_topic_that_is_denied_for_a_while_is_tried_until_it_works(
    guarded: str, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "own-denied",
        bootstrap_servers=guarded,
        max_in_flight=20,
        breaker__failure_threshold=3,
        breaker__recovery_timeout_s=0.2,
    ) as scenario:
        worker = await scenario.start_worker()
        topic = scenario.catalog.on_broker(TopicName.COMPARISON_RESULT)
        await deny_writing(guarded, topic)
        held = await scenario.load.send_many(3)
        await _until_metric(worker, _RETRIES, at_least=20)
        await _until_metric(worker, _BREAKER, at_least=_OPEN)
        await scenario.load.send_many(sized(small=100, full=2000))
        known = len(scenario.watch.samples)
        await until(lambda: len(scenario.watch.samples) > known + 3, timeout_s=30, what="sampled")
        assert not any(done for done in scenario.watch.samples[-1].committed.values())
        await allow_writing(guarded, topic)
        await scenario.watch.until_answered(held, timeout_s=60)
        report = await scenario.concluded()
        assert await worker.metric(_BREAKER) == _CLOSED
    report.require()


async def test_own_topic_that_is_missing_for_a_while_is_waited_for(
    guarded: str, new_scenario: NewScenario
) -> None:
    async with new_scenario("own-missing", bootstrap_servers=guarded) as scenario:
        await scenario.start_worker()
        topic = scenario.catalog.on_broker(TopicName.COMPARISON_RESULT)
        await delete_topic(guarded, topic)
        await scenario.load.send_many(sized(small=100, full=2000))
        await scenario.until_called(total=5)
        partitions = scenario.catalog[TopicName.COMPARISON_RESULT].partitions
        await create_topic(guarded, topic, partitions=partitions)
        report = await scenario.concluded()
    report.require()


async def _until_metric(worker: WorkerProcess, name: str, *, at_least: float) -> None:
    async def is_so() -> bool:
        return await worker.metric(name) >= at_least

    await until(is_so, timeout_s=60, what=f"{name} is {at_least} or more")


def _only_result(scenario: Scenario, sent: Sent) -> Seen:
    [result] = scenario.watch.results(sent.mark)
    return result
