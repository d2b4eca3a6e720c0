"""What each party must be allowed on the broker, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from llm_worker.contracts.documents.flows import FLOWS, Party
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, TopicName

if TYPE_CHECKING:
    from collections.abc import Iterable


class Operation(StrEnum):
    """What may be done with a topic, in Kafka's words; each includes Describe."""

    READ = "Read"
    WRITE = "Write"


class Purpose(StrEnum):
    """What a right is for that not everybody needs."""

    COMPARISONS = "comparisons over HTTP"
    CHANGES = "changes over HTTP"
    CONFIG = "`config`"
    DEAD_LETTERS = "`dead-letters`"
    USAGE = "`usage`, `doctor`"


@dataclass(frozen=True, slots=True)
class TopicRight:
    """A right on one topic; `purpose` None: it is always needed."""

    operation: Operation
    topic: TopicName
    purpose: Purpose | None = None


_REQUESTS: Final = tuple(REQUEST_TOPICS.values())
_BESIDES: Final = {
    Party.WORKER: (
        *(TopicRight(Operation.WRITE, name, Purpose.COMPARISONS) for name in _REQUESTS),
        TopicRight(Operation.READ, TopicName.COMPARISON_RESULT, Purpose.COMPARISONS),
        TopicRight(Operation.WRITE, TopicName.CONTROL, Purpose.CHANGES),
    ),
    Party.OPERATOR: (
        TopicRight(Operation.READ, TopicName.CONTROL, Purpose.CONFIG),
        TopicRight(Operation.WRITE, TopicName.CONTROL, Purpose.CONFIG),
        TopicRight(Operation.READ, TopicName.DEAD_LETTER, Purpose.DEAD_LETTERS),
        *(TopicRight(Operation.WRITE, name, Purpose.DEAD_LETTERS) for name in _REQUESTS),
        *(
            TopicRight(Operation.READ, name, Purpose.USAGE)
            for name in (
                TopicName.COST_TRACKING,
                TopicName.REQUEST_COMPLETED,
                TopicName.PROVIDER_FAILURE,
                TopicName.SPEND_STATE,
            )
        ),
    ),
}
_NOTES: Final = {
    Party.CALLER: "Read on a reply topic of its own, and on its group, where it has one",
    Party.WORKER: "Read on the group `llm-worker`; Write on the reply topics that callers name",
    Party.ACCOUNTANT: "Read on the group `llm-worker-accountant`",
    Party.SUBSCRIBER: "of these topics those it reads; Read on its own group",
    Party.OPERATOR: "for `topics create`, on all topics of the prefix: Create, Describe, "
    "DescribeConfigs; for `tail`, Read on what it shows",
}


def rights_of(party: Party) -> tuple[TopicRight, ...]:
    """Give the rights on topics that a party needs; the order is that of the topics."""
    besides = _BESIDES.get(party, ())
    known = {(right.operation, right.topic) for right in besides}
    flowing = (
        TopicRight(operation, name)
        for name, flow in FLOWS.items()
        for operation, parties in ((Operation.READ, flow.readers), (Operation.WRITE, flow.writers))
        if party in parties and (operation, name) not in known
    )
    return (*flowing, *besides)


def group_of(party: Party, group: str) -> str:
    """Give the consumer group that a worker or an accountant joins, where `group` is set."""
    return f"{group}-accountant" if party is Party.ACCOUNTANT else group


def rights_table() -> str:
    """Write the table of docs/security.md."""
    rows = (
        f"| {party} | {_listed(party, Operation.READ)} | {_listed(party, Operation.WRITE)} "
        f"| {_NOTES[party]} |\n"
        for party in Party
    )
    return "".join(("| who | Read | Write | besides |\n|---|---|---|---|\n", *rows))


def _listed(party: Party, operation: Operation) -> str:
    rights = [right for right in rights_of(party) if right.operation is operation]
    purposes = dict.fromkeys(right.purpose for right in rights)
    return "; ".join(
        _sentence(purpose, (right.topic for right in rights if right.purpose is purpose))
        for purpose in purposes
    )


def _sentence(purpose: Purpose | None, topics: Iterable[TopicName]) -> str:
    names = ", ".join(topics)
    return names if purpose is None else f"for {purpose}: {names}"
