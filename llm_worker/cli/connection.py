"""The way to Kafka for the commands that send and read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from llm_worker import bootstrap
from llm_worker.client.comparison import ComparisonClient
from llm_worker.client.reading import follow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import PlacedRecord


def connect() -> tuple[ComparisonClient, TopicCatalog]:
    """Give a client, not entered yet, and the topics it talks through."""
    settings = bootstrap.load_settings()
    topics = bootstrap.catalog(settings)
    silence_kafka_logs()
    options = bootstrap.kafka_options(settings)
    return ComparisonClient(options, topics, source_service="llm-worker-cli"), topics


def follow_topics(topics: Collection[str], *, from_start: bool) -> AsyncGenerator[PlacedRecord]:
    """Follow topics by their names on the broker."""
    settings = bootstrap.load_settings()
    silence_kafka_logs()
    return follow(bootstrap.kafka_options(settings), topics, from_start=from_start)


def silence_kafka_logs() -> None:
    """Leave it to our own errors to say in one line what aiokafka logs in many.

    It is still logged, to nobody: from there the client has why a connection failed.
    """
    logger = logging.getLogger("aiokafka")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
