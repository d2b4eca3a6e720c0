"""From settings to what every Kafka client needs."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from llm_worker.contracts.topics import load_topics

if TYPE_CHECKING:
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.settings import KafkaSettings, Settings


def catalog(settings: Settings) -> TopicCatalog:
    """Read topics.yaml, with the prefix of this installation."""
    return load_topics(settings.kafka.topic_prefix)


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
    context = ssl.create_default_context(cafile=kafka.ssl_cafile)
    if kafka.ssl_certfile is not None:
        context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile)
    return context
