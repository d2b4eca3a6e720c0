"""The settings of the cache: Redis for what workers share, a local cache beside it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from llm_worker.settings.kinds import Address, CommaSeparated, Group


class CacheSettings(Group):
    """Where outcomes and verdicts are kept, and for how long."""

    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="URL of Redis or Valkey: redis://, rediss:// (TLS) or unix://; "
        "empty: this process's memory alone. Secret.",
    )
    sentinels: Annotated[tuple[Address, ...], CommaSeparated] = Field(
        default=(),
        description="Redis Sentinels, `host:port`, comma-separated; they name the server, "
        "password, database and TLS are the URL's.",
    )
    sentinel_master: str = Field(
        default="mymaster", min_length=1, description="Name that the Sentinels have for the server."
    )
    cluster: bool = Field(
        default=False, description="true or false; true: the URL leads to a Redis Cluster."
    )
    budget_ms: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Milliseconds that Redis has for any answer, 1 to 1000; then its answer is "
        "done without.",
    )
    key_prefix: str = Field(
        default="llm-worker:",
        pattern=r"^[!-z|~]*$",
        description="Put before every key in Redis; printable ASCII without spaces and braces.",
    )
    ttl_s: int = Field(
        default=86_400, ge=1, description="Seconds that a verdict is kept in Redis, 1 or more."
    )
    local_ttl_s: int = Field(
        default=300, ge=1, description="Seconds that a verdict is kept in memory, 1 or more."
    )
    local_size_mb: int = Field(
        default=100, ge=1, description="Megabytes of verdicts kept in memory, 1 or more."
    )
    local_max_entries: int = Field(
        default=1000, ge=1, description="Verdicts kept in memory, 1 or more."
    )
    outcome_ttl_s: int = Field(
        default=288_000,
        ge=1,
        description="Seconds that the outcome of a request is kept for when it comes again: at "
        "least as long as the request topics keep the request, a segment's age included.",
    )

    @model_validator(mode="after")
    def _has_one_kind_of_redis(self) -> Self:
        if self.cluster and self.sentinels:
            raise ValueError(
                "LLM_WORKER_CACHE__CLUSTER and LLM_WORKER_CACHE__SENTINELS exclude each other: "
                "unset one"
            )
        return self
