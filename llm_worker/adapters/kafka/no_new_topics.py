"""Topics are made by `llm-worker topics create` alone, whatever the broker allows.

aiokafka asks about topics with leave to create them, and Apache Kafka does so by default: with one
partition, and kept for 7 days, even spend_state.
"""

from __future__ import annotations

from functools import partial

from aiokafka import client
from aiokafka.protocol.metadata import MetadataRequest


def create_no_topics() -> None:
    """Have no client of this process create a topic that it asks about."""
    client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)
