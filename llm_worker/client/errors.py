"""What can go wrong for a caller.

ClientError
├── UnreachableError        no broker answers
├── MissingTopicError       a topic is not on the broker
├── NoAnswerError           the time is up
├── UnreadableResultError   the worker speaks a newer version of the wire
└── KafkaRefusalError       the broker refuses what we ask or send
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaConnectionError, KafkaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class ClientError(Exception):
    """Base of all; the text says what to do, and never holds essay or prompt text."""


class UnreachableError(ClientError):
    """No broker answers."""


class MissingTopicError(ClientError):
    """A topic that is needed is not on the broker, or not for us to see."""


class NoAnswerError(ClientError):
    """No result has come in time. The request may still be answered, and be paid for."""


class UnreadableResultError(ClientError):
    """The answer to one of our requests is no result that this version knows."""


class KafkaRefusalError(ClientError):
    """The broker refuses a request of ours."""


@contextmanager
def translated(kafka: Mapping[str, Any]) -> Iterator[None]:
    """Raise aiokafka's errors as ours; `kafka` are the arguments of the connection."""
    try:
        yield
    except (KafkaConnectionError, OSError) as error:
        servers = kafka.get("bootstrap_servers", "localhost")
        where = servers if isinstance(servers, str) else ", ".join(servers)
        raise UnreachableError(
            f"no Kafka broker answers at {where}: check the address, and that it runs"
        ) from error
    except KafkaError as error:
        raise KafkaRefusalError(f"Kafka refuses: {type(error).__name__}: {error}") from error
