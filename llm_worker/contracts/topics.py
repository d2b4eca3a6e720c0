"""The catalogue of topics: topics.yaml, read and checked."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from llm_worker.contracts.vocabulary import TopicName

_BROKERS_SEGMENT_MS: Final = 7 * 86_400_000
_DELETED_WITHIN_MS: Final = 600_000
"""A broker looks for what it may delete every five minutes, and then waits for another."""


class Topic(BaseModel):
    """One topic as topics.yaml describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$", description="Default name on the broker.")
    event: str = Field(description="Model of the envelope's data, or `original` for dead letters.")
    key: str = Field(description="What the record's key is.")
    partitions: int = Field(ge=1)
    retention_ms: int = Field(ge=-1, description="Milliseconds; -1 keeps for ever.")
    cleanup: Literal["delete", "compact"] = "delete"
    max_message_bytes: int = Field(default=1_048_588, gt=0, description="Per record batch.")
    segment_ms: int | None = Field(
        default=None,
        ge=1,
        description="Milliseconds after which a segment is closed, where records still come: the "
        "oldest lives so much longer than retention_ms. None: as the broker has it, 7 days.",
    )
    segment_bytes: int | None = Field(
        default=None,
        ge=1_048_576,
        description="Only closed segments are compacted. None: as the broker has it, 1 GiB.",
    )

    def config(self) -> dict[str, str]:
        """The topic's settings in the broker's own names."""
        config = {
            "cleanup.policy": self.cleanup,
            "retention.ms": self.retention_ms,
            "max.message.bytes": self.max_message_bytes,
            "segment.ms": self.segment_ms,
            "segment.bytes": self.segment_bytes,
        }
        return {name: str(value) for name, value in config.items() if value is not None}

    def longest_ms(self) -> int | None:
        """How old a record may become before it is deleted, in milliseconds; None: for ever."""
        if self.retention_ms < 0:
            return None
        segment_ms = _BROKERS_SEGMENT_MS if self.segment_ms is None else self.segment_ms
        return self.retention_ms + segment_ms + _DELETED_WITHIN_MS


class TopicCatalog(BaseModel):
    """Every topic of the product, by logical name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topics: dict[TopicName, Topic]
    prefix: str = Field(default="", description="Put before every topic name as it stands.")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        missing = [name.value for name in TopicName if name not in self.topics]
        if missing:
            raise ValueError(f"topics.yaml lacks {', '.join(missing)}")
        return self

    def __getitem__(self, name: TopicName) -> Topic:
        return self.topics[name]

    def on_broker(self, name: TopicName) -> str:
        """The topic's name on the broker, with the prefix."""
        return self.prefix + self.topics[name].name

    def limits_on_broker(self) -> dict[str, int]:
        """Bytes of the largest batch by topic, by their names on the broker."""
        return {self.on_broker(name): self.topics[name].max_message_bytes for name in self.topics}

    def names_on_broker(self) -> dict[str, TopicName]:
        """Logical names by their names on the broker."""
        return {self.on_broker(name): name for name in self.topics}


def shipped(relative: str) -> Path:
    """Find a file that ships beside the package: topics.yaml, or one in schemas/.

    In a wheel it lies in `llm_worker/shipped`; in a checkout, beside `llm_worker`.
    """
    package = Path(str(files("llm_worker")))
    in_wheel = package / "shipped" / relative
    return in_wheel if in_wheel.exists() else package.parent / relative


def load_topics(prefix: str = "") -> TopicCatalog:
    """Read topics.yaml. Raises pydantic's ValidationError naming the faulty field."""
    document = yaml.safe_load(shipped("topics.yaml").read_text(encoding="utf-8"))
    return TopicCatalog(topics=document["topics"], prefix=prefix)
