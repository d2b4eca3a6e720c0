"""What can go wrong for a caller.

ClientError
├── UnreachableError        no broker answers
├── MissingTopicError       a topic is not on the broker
├── NotAllowedError         the broker does not let us in, or not do what we ask
├── NoAnswerError           the time is up
├── UnreadableResultError   the worker speaks a newer version of the wire
├── UnreadableEventError    the same, of an event that an EventReader has come upon
└── KafkaRefusalError       the broker refuses what we ask or send
"""

from __future__ import annotations

from contextlib import contextmanager
from ssl import SSLError
from typing import TYPE_CHECKING, Any, Final, Self

from aiokafka import errors

from llm_worker.client.complaints import overheard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class ClientError(Exception):
    """Base of all; the text says what to do, and never holds essay or prompt text."""


class UnreachableError(ClientError):
    """No broker answers."""


class MissingTopicError(ClientError):
    """A topic that is needed is not on the broker, or not for us to see."""


class NotAllowedError(ClientError):
    """A login, certificate or right is refused."""


class NoAnswerError(ClientError):
    """No result has come in time. The request may still be answered, and be paid for."""

    @classmethod
    def after(cls, seconds: float, *, outstanding: int) -> Self:
        """Say that no result came for so long, with so many requests without one."""
        return cls(
            f"no result within {seconds:g} s, {outstanding} outstanding: "
            "check that a worker runs and is ready"
        )


class UnreadableResultError(ClientError):
    """The answer to one of our requests is no result that this version knows."""


class UnreadableEventError(ClientError):
    """A record on a topic of events is none that this version knows; it lies at `place`.

    `place` is topic, partition and offset.
    """

    def __init__(self, message: str, place: tuple[str, int, int]) -> None:
        super().__init__(message)
        self.place = place


class KafkaRefusalError(ClientError):
    """The broker refuses a request of ours."""


_AWAY: Final = (
    errors.KafkaConnectionError,
    errors.KafkaTimeoutError,
    errors.KafkaUnavailableError,
    errors.NoBrokersAvailable,
    errors.NodeNotReadyError,
    errors.StaleMetadata,
    errors.MetadataEmptyBrokerList,
    errors.BrokerNotAvailableError,
    errors.RequestTimedOutError,
    OSError,
)
_CUT: Final = (errors.KafkaConnectionError, ConnectionResetError, EOFError)
_NO_LOGIN: Final = (
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.InvalidPrincipalType,
    errors.DelegationTokenAuthDisabled,
    errors.DelegationTokenAuthorizationFailed,
    errors.DelegationTokenExpired,
    errors.DelegationTokenNotFound,
    errors.DelegationTokenOwnerMismatch,
    errors.DelegationTokenRequestNotAllowed,
)
_NO_RIGHT: Final = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
    errors.SecurityDisabled,
)


@contextmanager
def translated(kafka: Mapping[str, Any]) -> Iterator[None]:
    """Raise aiokafka's errors as ours; `kafka` are the arguments of the connection."""
    with overheard() as complaints:
        try:
            yield
        except (errors.KafkaError, OSError) as error:
            raise _translation(error, complaints, _address(kafka)) from error


def _translation(error: Exception, complaints: Sequence[Exception], where: str) -> ClientError:
    if not isinstance(error, _AWAY):
        return _not_allowed(error, where) or _refusal(error)
    # That there is no connection comes last; what was logged before it says why.
    for cause in (error, *complaints):
        refused = _not_allowed(cause, where)
        if refused is not None:
            return refused
    if any(isinstance(cause, _CUT) for cause in complaints):
        return UnreachableError(
            f"whoever answers at {where} closes the connection: check that it is Kafka, and "
            "whether it wants TLS or a login"
        )
    return UnreachableError(
        f"no Kafka broker answers at {where}: check the address, and that it runs"
    )


def _not_allowed(cause: Exception, where: str) -> NotAllowedError | None:
    if isinstance(cause, SSLError):
        reason = getattr(cause, "reason", None) or cause
        # Whether it is the signature or the name that is wrong.
        more = getattr(cause, "verify_message", None)
        reason = f"{reason} ({more})" if more else reason
        return NotAllowedError(
            f"no TLS connection to Kafka at {where}: {reason}: check that it speaks TLS there, and "
            "the certificates on both sides"
        )
    if isinstance(cause, _NO_LOGIN):
        return NotAllowedError(
            f"Kafka at {where} refuses the login: {_in_words(cause)}: check user, password and "
            "SASL mechanism"
        )
    if isinstance(cause, _NO_RIGHT):
        return NotAllowedError(
            f"Kafka does not allow it: {_in_words(cause)}: have the right granted to this user"
        )
    return None


def _refusal(error: Exception) -> ClientError:
    if isinstance(error, errors.UnknownTopicOrPartitionError):
        return MissingTopicError(
            f"not on the broker: {_in_words(error)}; create it with `llm-worker topics create`"
        )
    return KafkaRefusalError(f"Kafka refuses: {_in_words(error)}")


def _in_words(error: Exception) -> str:
    # Some hold a connection instead of words.
    said = f": {error}" if error.args and isinstance(error.args[0], str) else ""
    return f"{type(error).__name__}{said}"


def _address(kafka: Mapping[str, Any]) -> str:
    servers = kafka.get("bootstrap_servers", "localhost")
    return servers if isinstance(servers, str) else ", ".join(servers)
