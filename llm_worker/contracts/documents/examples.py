"""Golden records: one or more of every event, as they lie on their topics.

Each is a file in schemas/examples: a JSON object with `topic`, `key`, `headers`, `value` and a
`summary`. A neighbour tests a reader or a writer with them, and the schemas' examples are theirs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from llm_worker.contracts.topics import load_topics, shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

ORIGINAL: Final = "original"
"""What topics.yaml names as the event of dead letters: whatever came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A golden record; `event` is its topic's in topics.yaml, `document` the file as it is."""

    name: str
    event: str
    document: Mapping[str, Any]

    @property
    def data(self) -> dict[str, Any] | None:
        """The event itself; None of a tombstone and of a dead letter."""
        value = self.document["value"]
        if value is None or self.event == ORIGINAL:
            return None
        data: dict[str, Any] = value["data"]
        return data


@cache
def load_examples() -> tuple[Example, ...]:
    """Read the golden records, in the order of topics.yaml, then of their names."""
    topics = load_topics().topics.values()
    order = {topic.name: (place, topic.event) for place, topic in enumerate(topics)}
    found = []
    for file in sorted(shipped("schemas/examples").glob("*.json"), key=lambda file: file.stem):
        document = json.loads(file.read_text(encoding="utf-8"))
        place, event = order[document["topic"]]
        found.append((place, Example(name=file.stem, event=event, document=document)))
    return tuple(example for _, example in sorted(found, key=lambda pair: pair[0]))
