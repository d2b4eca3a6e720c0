"""What callers import: ask for comparisons, await their results, follow the events.

Needs pydantic, aiokafka and orjson, and PyYAML to read topics.yaml; `llm_worker.client.http` needs
httpx.
"""

from __future__ import annotations

from llm_worker.client.comparison import ComparisonClient
from llm_worker.client.drop_in import PromptProvider
from llm_worker.client.errors import (
    ClientError,
    KafkaRefusalError,
    MissingTopicError,
    NoAnswerError,
    NotAllowedError,
    UnreachableError,
    UnreadableEventError,
    UnreadableResultError,
)
from llm_worker.client.events import EventReader
from llm_worker.client.failures import ComparisonError, error_of
from llm_worker.client.journal import Journal, JournalError
from llm_worker.client.judge import Judge, new_request, swapped
from llm_worker.client.judgement import BothOrders, Judgement
from llm_worker.client.submission import Submission

__all__ = [
    "BothOrders",
    "ClientError",
    "ComparisonClient",
    "ComparisonError",
    "EventReader",
    "Journal",
    "JournalError",
    "Judge",
    "Judgement",
    "KafkaRefusalError",
    "MissingTopicError",
    "NoAnswerError",
    "NotAllowedError",
    "PromptProvider",
    "Submission",
    "UnreachableError",
    "UnreadableEventError",
    "UnreadableResultError",
    "error_of",
    "new_request",
    "swapped",
]
