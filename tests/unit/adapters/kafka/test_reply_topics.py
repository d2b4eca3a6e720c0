from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from llm_worker.adapters.kafka.reply_topics import KafkaReplyTopics
from tests.support.fakes import ManualClock


@dataclass(slots=True)
class _Cluster:
    topics: set[str] = field(default_factory=lambda: {"huleedu.cj", "huleedu.ours", "other"})
    questions: int = 0

    async def list_topics(self) -> frozenset[str]:
        self.questions += 1
        await asyncio.sleep(0)
        return frozenset(self.topics)


def _reply_topics(cluster: _Cluster, clock: ManualClock | None = None) -> KafkaReplyTopics:
    return KafkaReplyTopics(
        patterns=["huleedu.*"],
        forbidden={"huleedu.ours"},
        list_topics=cluster.list_topics,
        clock=clock or ManualClock(),
    )


async def test_existing_topic_within_the_patterns_is_usable() -> None:
    assert await _reply_topics(_Cluster()).is_usable("huleedu.cj")


@pytest.mark.parametrize("topic", ["other", "huleedu.ours", "", "HULEEDU.cj", "x.huleedu.cj"])
async def test_topic_that_is_not_allowed_is_refused_without_a_question(topic: str) -> None:
    cluster = _Cluster()
    assert not await _reply_topics(cluster).is_usable(topic)
    assert cluster.questions == 0


async def test_topic_that_does_not_exist_is_refused() -> None:
    assert not await _reply_topics(_Cluster()).is_usable("huleedu.nowhere")


async def test_known_topic_is_not_asked_for_again() -> None:
    cluster = _Cluster()
    reply_topics = _reply_topics(cluster)
    for _ in range(3):
        assert await reply_topics.is_usable("huleedu.cj")
    assert cluster.questions == 1


async def test_unknown_topics_that_come_at_once_share_one_question() -> None:
    cluster = _Cluster()
    reply_topics = _reply_topics(cluster)
    topics = [f"huleedu.nowhere.{number}" for number in range(50)]
    assert not any(await asyncio.gather(*map(reply_topics.is_usable, topics)))
    assert cluster.questions == 1


async def test_topic_that_was_made_meanwhile_is_found_a_moment_later() -> None:
    cluster, clock = _Cluster(), ManualClock()
    reply_topics = _reply_topics(cluster, clock)
    assert not await reply_topics.is_usable("huleedu.new")
    cluster.topics.add("huleedu.new")
    assert not await reply_topics.is_usable("huleedu.new")
    clock.advance(1.1)
    assert await reply_topics.is_usable("huleedu.new")
