"""Reads records off a broker or out of a file, and holds each to the contract."""

from __future__ import annotations

import heapq
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from llm_worker.adapters.kafka.topic_state import Presence
from llm_worker.adapters.kafka.topics import compare_topics
from llm_worker.client.history import read_last
from llm_worker.contracts.conformance import Fault, faults_of
from llm_worker.contracts.faults import faults_in_words
from llm_worker.contracts.record_lines import WireRecord, read_record
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llm_worker.adapters.kafka.topic_state import TopicState
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import PlacedRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFault:
    """A fault, and where its record is: on a partition, or in a line of a file."""

    place: str
    topic: str
    partition: int | None
    offset: int | None
    field: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTopic:
    """A topic, how it differs from topics.yaml, and how many of its records were checked."""

    topic: str
    presence: Presence
    partitions: int | None
    records: int
    differences: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Report:
    """What was checked, and every fault."""

    topics: list[ReadTopic] = field(default_factory=list)
    records: int = 0
    faults: list[PlacedFault] = field(default_factory=list)


def check_file(lines: Iterable[bytes], catalog: TopicCatalog) -> Report:
    """Check records, one a line; blank lines are passed over."""
    report = Report()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        report.records += 1
        topic = ""
        try:
            record = read_record(line)
            topic, faults = record.topic, faults_of(record, catalog)
        except orjson.JSONDecodeError:
            faults = [_no_record("it is not JSON")]
        except orjson.JSONEncodeError:
            faults = [_no_record("value: it is nested too deeply")]
        except ValidationError as error:
            faults = [_no_record(faults_in_words(error, whole="it", at_most=1))]
        report.faults += (
            PlacedFault(
                place=f"line {number}", topic=topic, partition=None, offset=None, **asdict(fault)
            )
            for fault in faults
        )
    return report


async def check_topics(
    options: Mapping[str, Any], catalog: TopicCatalog, names: Sequence[str], *, at_most: int
) -> Report:
    """Check topics, by logical name or name on the broker, and the newest records of each.

    Raises:
        ClusterError, ClientError: The broker cannot be asked, or refuses.
    """
    logical = {name.value: catalog.on_broker(name) for name in TopicName}
    wanted = list(dict.fromkeys(logical.get(name, name) for name in names))
    states = {state.topic: state for state in await compare_topics(options, catalog)}
    report = Report()
    for topic in wanted:
        state = states.get(topic)
        is_there = state is None or state.presence is Presence.PRESENT
        newest = await _newest(options, topic, at_most) if is_there and at_most else []
        report.topics.append(_read_topic(topic, state, len(newest)))
        report.records += len(newest)
        report.faults += (fault for record in newest for fault in _faults_at(record, catalog))
    return report


async def _newest(options: Mapping[str, Any], topic: str, at_most: int) -> list[PlacedRecord]:
    """Read the newest records of a topic, oldest first."""
    async with aclosing(read_last(options, topic, at_most=at_most)) as records:
        found = [record async for record in records]
    newest = heapq.nlargest(at_most, found, key=lambda record: record.at_ms)
    return sorted(newest, key=lambda record: (record.partition, record.offset))


def _faults_at(record: PlacedRecord, catalog: TopicCatalog) -> list[PlacedFault]:
    said = WireRecord(
        topic=record.topic, key=record.key, value=record.value, headers=tuple(record.headers)
    )
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return [
        PlacedFault(
            place=place,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            **asdict(fault),
        )
        for fault in faults_of(said, catalog)
    ]


def _read_topic(topic: str, state: TopicState | None, records: int) -> ReadTopic:
    if state is None:  # not in topics.yaml: nobody says how it should be
        return ReadTopic(topic=topic, presence=Presence.PRESENT, partitions=None, records=records)
    return ReadTopic(
        topic=topic,
        presence=state.presence,
        partitions=state.partitions_found,
        records=records,
        differences=state.differences,
        unchecked=state.unchecked,
    )


def _no_record(problem: str) -> Fault:
    return Fault(
        field="the line",
        problem=problem,
        remedy="write a JSON object with topic, key, headers and value",
    )
