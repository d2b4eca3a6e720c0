"""What topics.yaml wants of a topic, what the cluster has, and how they differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llm_worker.adapters.kafka.topic_metadata import Right
    from llm_worker.contracts.topics import Topic
    from llm_worker.contracts.vocabulary import TopicName


class Presence(StrEnum):
    """Whether the cluster has a topic."""

    PRESENT = "present"
    MISSING = "missing"
    HIDDEN = "hidden"
    """The broker does not let us describe it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTopic:
    """What the cluster tells of a topic; None for what it keeps to itself."""

    presence: Presence
    partitions: int | None = None
    config: Mapping[str, str] | None = None
    rights: frozenset[Right] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """One topic of topics.yaml beside what the cluster has.

    `config_wanted` and `config_found` are in the broker's own names. `differences` are in words,
    each with its remedy; `unchecked` says what the broker does not let us see. `rights` are the
    caller's; None where nobody tells.
    """

    name: TopicName
    topic: str
    presence: Presence
    partitions_wanted: int
    partitions_found: int | None
    config_wanted: Mapping[str, str]
    config_found: Mapping[str, str] | None
    rights: frozenset[Right] | None
    differences: tuple[str, ...]
    unchecked: tuple[str, ...]


def compare_topic(name: TopicName, topic: str, wanted: Topic, found: FoundTopic) -> TopicState:
    """Compare a topic, named `topic` on the broker, with what the cluster tells of it.

    More partitions than wanted are no difference, save on a compacted topic.
    """
    return TopicState(
        name=name,
        topic=topic,
        presence=found.presence,
        partitions_wanted=wanted.partitions,
        partitions_found=found.partitions,
        config_wanted=wanted.config(),
        config_found=found.config,
        rights=frozenset() if found.presence is Presence.HIDDEN else found.rights,
        differences=tuple(_differences(topic, wanted, found)),
        unchecked=tuple(_unchecked(topic, found)),
    )


def _differences(topic: str, wanted: Topic, found: FoundTopic) -> Iterator[str]:
    match found.presence:
        case Presence.MISSING:
            yield "missing: run `llm-worker topics create`"
        case Presence.HIDDEN:
            yield f"describe is denied: grant Describe on {topic} to this principal"
        case Presence.PRESENT:
            yield from _partition_differences(topic, wanted, found)
            yield from _config_differences(topic, wanted, found.config or {})


def _partition_differences(topic: str, wanted: Topic, found: FoundTopic) -> Iterator[str]:
    if found.partitions is None or found.partitions == wanted.partitions:
        return
    if wanted.cleanup == "compact":
        yield (
            f"{found.partitions} partitions instead of {wanted.partitions}: say so in topics.yaml, "
            "and never add any, since the newest of a key would then lie beside an older one"
        )
    elif found.partitions < wanted.partitions:
        yield (
            f"{found.partitions} partitions instead of {wanted.partitions}: "
            f"run `kafka-topics.sh --alter --topic {topic} --partitions {wanted.partitions}`"
        )


def _config_differences(topic: str, wanted: Topic, found: Mapping[str, str]) -> Iterator[str]:
    for key, value in wanted.config().items():
        if key in found and found[key] != value:
            yield (
                f"{key} is {found[key]} instead of {value}: run `kafka-configs.sh --alter "
                f"--entity-type topics --entity-name {topic} --add-config {key}={value}`"
            )


def _unchecked(topic: str, found: FoundTopic) -> Iterator[str]:
    if found.presence is Presence.PRESENT and found.config is None:
        yield (
            "retention, cleanup, segments and max.message.bytes: "
            f"grant DescribeConfigs on {topic} to this principal"
        )
