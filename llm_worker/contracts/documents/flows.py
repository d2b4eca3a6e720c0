"""Who sends what, and who reads it, seen from this product's processes and their callers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from llm_worker.contracts.vocabulary import REQUEST_TOPICS, TopicName

if TYPE_CHECKING:
    from collections.abc import Mapping


class Party(StrEnum):
    """A process that sends or reads."""

    CALLER = "caller"
    WORKER = "worker"
    ACCOUNTANT = "accountant"
    OPERATOR = "operator"
    SUBSCRIBER = "subscriber"


@dataclass(frozen=True, slots=True)
class Flow:
    """What a topic is for, who writes to it, and who reads it."""

    summary: str
    writers: tuple[Party, ...]
    readers: tuple[Party, ...]


_COUNTED: Final = (Party.ACCOUNTANT, Party.SUBSCRIBER)

FLOWS: Final[Mapping[TopicName, Flow]] = {
    TopicName.COMPARISON_REQUESTED: Flow(
        "Requests of the normal lane.", (Party.CALLER, Party.WORKER), (Party.WORKER,)
    ),
    TopicName.COMPARISON_REQUESTED_BULK: Flow(
        "Requests of the bulk lane; neither lane starves the other.",
        (Party.CALLER, Party.WORKER),
        (Party.WORKER,),
    ),
    TopicName.COMPARISON_RESULT: Flow(
        "The answer to each request that names no reply topic of its own: a verdict or an error.",
        (Party.WORKER,),
        (Party.CALLER,),
    ),
    TopicName.REQUEST_STARTED: Flow(
        "An attempt at a provider begins.", (Party.WORKER,), (Party.SUBSCRIBER,)
    ),
    TopicName.REQUEST_COMPLETED: Flow("A request has its answer.", (Party.WORKER,), _COUNTED),
    TopicName.PROVIDER_FAILURE: Flow(
        "One attempt at a provider failed.", (Party.WORKER,), _COUNTED
    ),
    TopicName.CACHE_HIT: Flow(
        "A request was answered without a purchase.", (Party.WORKER,), (Party.SUBSCRIBER,)
    ),
    TopicName.CACHE_MISS: Flow(
        "The cache was asked and had no answer.", (Party.WORKER,), (Party.SUBSCRIBER,)
    ),
    TopicName.COST_TRACKING: Flow(
        "One for each attempt that was or may have been billed, and for each cache hit.",
        (Party.WORKER,),
        (Party.WORKER, *_COUNTED),
    ),
    TopicName.USAGE_ANALYTICS: Flow(
        "What happened in one window of time.", (Party.ACCOUNTANT,), _COUNTED
    ),
    TopicName.COST_ALERT: Flow(
        "A threshold was crossed; once per scope, period and threshold.",
        (Party.ACCOUNTANT,),
        _COUNTED,
    ),
    TopicName.SPEND_STATE: Flow(
        "Current totals: the record of a key with the highest last_offset holds, as a rule the "
        "newest; one without a value takes it away.",
        (Party.ACCOUNTANT,),
        (Party.WORKER, *_COUNTED),
    ),
    TopicName.CONTROL: Flow(
        "Runtime settings: the newest record of a key is what holds, no value unsets it.",
        (Party.OPERATOR, Party.WORKER),
        (Party.WORKER, Party.ACCOUNTANT),
    ),
    TopicName.DEAD_LETTER: Flow(
        "Records that failed or cannot be read, byte for byte, and why in the headers.",
        (Party.WORKER, Party.ACCOUNTANT),
        (Party.OPERATOR,),
    ),
}
"""Of every topic. The worker writes requests that came over HTTP."""

ANSWERED: Final = frozenset(REQUEST_TOPICS.values())
"""The topics whose records are answered, each by one result."""
