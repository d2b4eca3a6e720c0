from __future__ import annotations

import aiokafka.errors
import pytest

from llm_worker.client.errors import (
    ClientError,
    KafkaRefusalError,
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
    with pytest.raises(KafkaRefusalError, match="TopicAuthorizationFailed"), translated(KAFKA):
        raise aiokafka.errors.TopicAuthorizationFailedError("t")


def test_errors_of_nobody_elses_pass_untouched() -> None:
    with pytest.raises(ZeroDivisionError), translated(KAFKA):
        raise ZeroDivisionError
