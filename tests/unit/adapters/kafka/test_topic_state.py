from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import AsyncMock

import pytest

from llm_worker.adapters.kafka.topic_metadata import Right, rights_in
from llm_worker.adapters.kafka.topic_state import (
    FoundTopic,
    Presence,
    TopicState,
    compare_topic,
)
from llm_worker.adapters.kafka.topics import _create
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = TopicName.COMPARISON_REQUESTED
_WANTED = load_topics()[_NAME]
_ALL_RIGHTS = frozenset(Right)


def _compared(
    *,
    name: TopicName = _NAME,
    partitions: int = _WANTED.partitions,
    config: Mapping[str, str] | None = _WANTED.config(),
    rights: frozenset[Right] | None = _ALL_RIGHTS,
) -> TopicState:
    found = FoundTopic(
        presence=Presence.PRESENT, partitions=partitions, config=config, rights=rights
    )
    return compare_topic(name, "t.requests", _WANTED, found)


def test_topic_as_wanted_has_no_differences() -> None:
    state = _compared()
    assert state.differences == ()
    assert state.unchecked == ()
    assert state.rights == _ALL_RIGHTS


def test_missing_topic_is_to_be_created() -> None:
    state = compare_topic(_NAME, "t.requests", _WANTED, FoundTopic(presence=Presence.MISSING))
    assert state.differences == ("missing: run `llm-worker topics create`",)
    assert state.partitions_found is None


def test_denied_describe_is_a_difference_that_says_so() -> None:
    state = compare_topic(_NAME, "t.requests", _WANTED, FoundTopic(presence=Presence.HIDDEN))
    assert state.differences == (
        "describe is denied: grant Describe on t.requests to this principal",
    )


def test_fewer_partitions_are_a_difference_with_its_command() -> None:
    [difference] = _compared(partitions=3).differences
    assert difference == (
        "3 partitions instead of 12: "
        "run `kafka-topics.sh --alter --topic t.requests --partitions 12`"
    )


def test_more_partitions_are_no_difference() -> None:
    assert _compared(partitions=24).differences == ()


@pytest.mark.parametrize("found", [1, 3])
def test_compacted_topic_has_as_many_partitions_as_it_was_made_with(found: int) -> None:
    """The newest of a key would lie in another partition than the one before."""
    wanted = _WANTED.model_copy(update={"cleanup": "compact", "partitions": 2})
    there = FoundTopic(presence=Presence.PRESENT, partitions=found, config=wanted.config())
    [difference] = compare_topic(_NAME, "t.state", wanted, there).differences
    assert difference.startswith(f"{found} partitions instead of 2: say so in topics.yaml")


def test_each_differing_setting_is_named_with_its_command() -> None:
    config = _WANTED.config() | {"retention.ms": "1", "max.message.bytes": "1000"}
    retention, size = _compared(config=config).differences
    assert "retention.ms is 1 instead of 259200000" in retention
    assert "--add-config retention.ms=259200000" in retention
    assert "max.message.bytes is 1000 instead of 4194304" in size


def test_setting_that_the_broker_hides_is_unchecked_and_no_difference() -> None:
    state = _compared(config=None)
    assert state.differences == ()
    [unchecked] = state.unchecked
    assert unchecked.startswith("retention, cleanup, segments and max.message.bytes: ")
    assert "grant DescribeConfigs on t.requests" in unchecked


def test_rights_that_the_broker_does_not_tell_are_unknown() -> None:
    assert _compared(rights=None).rights is None


def test_who_may_not_even_see_a_topic_has_no_right_on_it() -> None:
    state = compare_topic(_NAME, "t.requests", _WANTED, FoundTopic(presence=Presence.HIDDEN))
    assert state.rights == frozenset()


def test_rights_are_read_from_the_bit_field() -> None:
    assert rights_in(1 << 3 | 1 << 8) == frozenset({Right.READ, Right.DESCRIBE})
    assert rights_in(0) == frozenset()
    assert rights_in(-(2**31)) is None


@pytest.mark.parametrize(
    ("changes", "longest_ms"),
    [
        ({"retention_ms": 1_000, "segment_ms": 500}, 601_500),
        ({"retention_ms": 1_000, "segment_ms": None}, 605_401_000),
        ({"retention_ms": -1}, None),
    ],
)
def test_record_lives_longer_than_its_retention(
    changes: dict[str, int | None], longest_ms: int | None
) -> None:
    """Kafka deletes whole segments, and not at once."""
    assert _WANTED.model_copy(update=changes).longest_ms() == longest_ms


@pytest.mark.parametrize(("copies", "least"), [(-1, None), (2, None), (3, "2"), (5, "2")])
async def test_topic_with_three_copies_is_made_so_that_two_hold_what_is_confirmed(
    copies: int, least: str | None
) -> None:
    client = AsyncMock()
    client.send.return_value.topic_errors = [("t", 0, None)]
    assert await _create(client, {"t": _WANTED}, copies) == ["t"]
    [[_, request]] = [call.args for call in client.send.await_args_list]
    [[*_, config]] = request.create_topic_requests
    assert dict(config).get("min.insync.replicas") == least
