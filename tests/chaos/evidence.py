"""What a scenario leaves behind: what was sent, what was called, what the broker holds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from llm_worker.contracts.vocabulary import REQUEST_TOPICS, TopicName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Place = tuple[str, int]
"""A topic and a partition."""

REQUESTS = frozenset(REQUEST_TOPICS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request that the broker took.

    `mark` stands in the request's metadata, which the result echoes: it tells two contents under
    one event id apart.
    """

    mark: str
    event_id: str
    correlation_id: str
    prompt_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call to the provider, as the mock's journal has it."""

    request_id: str
    attempt_id: str
    prompt_sha256: str
    pid: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A record on the broker; reply topics of callers' own count as results."""

    kind: TopicName
    place: Place
    offset: int
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    envelope: dict[str, Any]
    at_ms: int = 0
    """When it was written, as its writer says."""

    @property
    def event_id(self) -> str:
        """The envelope's."""
        return str(self.envelope["event_id"])

    @property
    def request_id(self) -> str:
        """The request that it belongs to."""
        data = self.envelope["data"]
        if self.kind is TopicName.COMPARISON_RESULT:
            return str(data["request_id"])
        if self.kind in REQUESTS or self.kind is TopicName.DEAD_LETTER:
            return self.event_id
        return str(data["metadata"]["request_id"])

    @property
    def mark(self) -> str:
        """The mark of the content that it is or answers; the request id where it is dropped."""
        field = "request_metadata" if self.kind is TopicName.COMPARISON_RESULT else "metadata"
        return str(self.envelope["data"][field].get("mark", self.request_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The group's committed offsets, and what the broker held right after they were read.

    In this order, so that what is committed here and has no answer within `ends` was committed
    before it was answered; no clock is needed.
    """

    committed: Mapping[Place, int]
    ends: Mapping[Place, int]

    def lag(self) -> int:
        """Count the requests that are not committed."""
        return sum(self.ends[place] - done for place, done in self.committed.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that the checker judges from."""

    sent: tuple[Sent, ...]
    calls: tuple[Call, ...]
    seen: tuple[Seen, ...]
    samples: tuple[Sample, ...]

    def of_kind(self, *kinds: TopicName) -> list[Seen]:
        """Give the records of these kinds, in the order of their arrival."""
        return [record for record in self.seen if record.kind in kinds]

    def answers(self) -> dict[str, list[Seen]]:
        """Give the results by mark."""
        found = defaultdict(list)
        for record in self.of_kind(TopicName.COMPARISON_RESULT):
            found[record.mark].append(record)
        return found


def read_journal(journal: Path) -> tuple[Call, ...]:
    """Read the calls that were made so far, oldest first; a line half written is left for later."""
    if not journal.exists():
        return ()
    *lines, _half_written = journal.read_bytes().split(b"\n")
    return tuple(map(_call, lines))


def calls_by_request(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """Sort calls by the request that they were made for."""
    found = defaultdict(list)
    for call in calls:
        found[call.request_id].append(call)
    return found


def _call(line: bytes) -> Call:
    fields = orjson.loads(line)
    return Call(**{**fields, "at": datetime.fromisoformat(fields["at"])})
