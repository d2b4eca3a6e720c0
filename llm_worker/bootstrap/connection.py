"""From settings to what every Kafka client needs."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from yaml import YAMLError

from llm_worker.contracts.faults import faults_in_words
from llm_worker.contracts.topics import load_topics, shipped
from llm_worker.settings import SettingsError

if TYPE_CHECKING:
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.settings import KafkaSettings, Settings


def catalog(settings: Settings) -> TopicCatalog:
    """Read topics.yaml, with the prefix of this installation.

    Raises:
        SettingsError: It was changed so that it cannot be read.
    """
    try:
        return load_topics(settings.kafka.topic_prefix)
    except ValidationError as error:
        words = faults_in_words(error, whole="the file")
    except (YAMLError, KeyError, TypeError) as error:
        words = f"{type(error).__name__}: {error}"
    raise SettingsError(f"{shipped('topics.yaml')}: {words}")


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Give the connection options that aiokafka's producer, consumer and admin client share."""
    kafka = settings.kafka
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka.bootstrap_servers),
        "security_protocol": kafka.security_protocol,
        "client_id": "llm-worker",
    }
    if "SSL" in kafka.security_protocol:
        options["ssl_context"] = _ssl_context(kafka)
    if "SASL" in kafka.security_protocol:
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password and kafka.sasl_password.get_secret_value(),
        }
    return options


def _ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
    except ssl.SSLError as error:
        raise SettingsError(
            f"LLM_WORKER_KAFKA__SSL_CAFILE: {kafka.ssl_cafile} holds no certificate in PEM form"
        ) from error
    if kafka.ssl_certfile is not None:
        try:
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile)
        except ssl.SSLError as error:
            raise SettingsError(
                f"LLM_WORKER_KAFKA__SSL_CERTFILE: {kafka.ssl_certfile} and "
                f"LLM_WORKER_KAFKA__SSL_KEYFILE: {kafka.ssl_keyfile or 'the same file'} are no "
                "certificate in PEM form and its key"
            ) from error
    return context
