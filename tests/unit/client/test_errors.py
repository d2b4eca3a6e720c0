from __future__ import annotations

import asyncio
import logging
import ssl

import aiokafka.errors
import pytest

from llm_worker.client.errors import (
    ClientError,
    KafkaRefusalError,
    MissingTopicError,
    NotAllowedError,
    UnreachableError,
    translated,
)

KAFKA = {"bootstrap_servers": ["one:9092", "two:9092"]}
AIOKAFKAS = [
    kind
    for kind in vars(aiokafka.errors).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
]
# Raised for a mistake in our own code, so they stay what they are.
MISTAKES = {"IllegalOperation", "ConsumerStoppedError"}
ABSTRACT = {"BrokerResponseError"}


@pytest.mark.parametrize("kind", [k for k in AIOKAFKAS if k.__name__ not in MISTAKES | ABSTRACT])
def test_every_error_of_aiokafkas_comes_as_one_of_ours(kind: type[Exception]) -> None:
    error = kind.__new__(kind)

    with pytest.raises(ClientError), translated(KAFKA):
        raise error


@pytest.mark.parametrize(
    "error", [aiokafka.errors.KafkaConnectionError(), ConnectionRefusedError()]
)
def test_broker_that_does_not_answer_is_named(error: Exception) -> None:
    with pytest.raises(UnreachableError, match="one:9092, two:9092"), translated(KAFKA):
        raise error


def test_refusal_says_what_kafka_says() -> None:
    with pytest.raises(KafkaRefusalError, match="MessageSizeTooLarge"), translated(KAFKA):
        raise aiokafka.errors.MessageSizeTooLargeError("9 bytes")


_REFUSALS = ("Authenti", "Authorization", "Sasl", "Delegation", "Security", "Principal")


@pytest.mark.parametrize(
    "kind", [kind for kind in AIOKAFKAS if any(word in kind.__name__ for word in _REFUSALS)]
)
def test_every_refused_login_or_right_is_told_as_one(kind: type[Exception]) -> None:
    with pytest.raises(NotAllowedError, match=kind.__name__), translated(KAFKA):
        raise kind("no")


def test_missing_right_names_the_remedy() -> None:
    with pytest.raises(NotAllowedError, match="have the right granted"), translated(KAFKA):
        raise aiokafka.errors.TopicAuthorizationFailedError("t")


def test_topic_that_is_gone_names_the_remedy() -> None:
    with pytest.raises(MissingTopicError, match="llm-worker topics create"), translated(KAFKA):
        raise aiokafka.errors.UnknownTopicOrPartitionError("t")


@pytest.mark.parametrize(
    ("logged", "kind", "words"),
    [
        (aiokafka.errors.SaslAuthenticationFailed("bad"), NotAllowedError, "check user, password"),
        (aiokafka.errors.UnsupportedSaslMechanismError("x"), NotAllowedError, "SASL mechanism"),
        (ssl.SSLError(1, "wrong version"), NotAllowedError, "no TLS connection"),
        (aiokafka.errors.KafkaConnectionError("closed"), UnreachableError, "closes the connection"),
        (ConnectionRefusedError(111, "refused"), UnreachableError, "no Kafka broker answers"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_why_there_is_no_connection_is_taken_from_what_aiokafka_logs(
    logged: Exception, kind: type[ClientError], words: str
) -> None:
    def bootstrap() -> None:
        logging.getLogger("aiokafka.client").error('Unable connect to "%s:%s": %s', "x", 1, logged)
        raise aiokafka.errors.KafkaConnectionError("Unable to bootstrap")

    with pytest.raises(kind, match=words), translated(KAFKA):
        bootstrap()


async def test_complaints_of_another_task_are_not_ours() -> None:
    async def fail_elsewhere() -> None:
        error = aiokafka.errors.SaslAuthenticationFailed("theirs")
        logging.getLogger("aiokafka.client").error("Unable: %s", error)

    async def fail_while_others_fail() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail_elsewhere())
        raise aiokafka.errors.KafkaConnectionError("ours")

    with pytest.raises(UnreachableError), translated(KAFKA):
        await fail_while_others_fail()


def test_errors_of_nobody_elses_pass_untouched() -> None:
    with pytest.raises(ZeroDivisionError), translated(KAFKA):
        raise ZeroDivisionError
