"""The way to Kafka for the commands that send and read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from llm_worker import bootstrap
from llm_worker.adapters.kafka.header_names import read_any_header_name
from llm_worker.adapters.kafka.no_new_topics import create_no_topics
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
    prepare_for_kafka()
    options = bootstrap.kafka_options(settings)
    return ComparisonClient(options, topics, source_service="llm-worker-cli"), topics


def follow_topics(topics: Collection[str], *, from_start: bool) -> AsyncGenerator[PlacedRecord]:
    """Follow topics by their names on the broker."""
    settings = bootstrap.load_settings()
    prepare_for_kafka()
    return follow(bootstrap.kafka_options(settings), topics, from_start=from_start)


def prepare_for_kafka() -> None:
    """Have aiokafka read whatever a broker holds, create no topic, and log to nobody.

    Our own errors say in one line what it logs in many; why a connection failed the client has
    from there all the same.
    """
    read_any_header_name()
    create_no_topics()
    logger = logging.getLogger("aiokafka")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
