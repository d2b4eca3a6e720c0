"""The settings and what each means; descriptions carry the unit and the range."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


_CommaSeparated = BeforeValidator(_split)
_AnyCase = BeforeValidator(_upper)
_EmptyIsNone = BeforeValidator(_none_if_empty)
_Address = Annotated[str, StringConstraints(pattern=r"^[^\s/,]+:\d{1,5}$")]
_OptionalFile = Annotated[FilePath | None, _EmptyIsNone]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class KafkaSettings(_Group):
    """How to reach Kafka, and as whom."""

    bootstrap_servers: Annotated[tuple[_Address, ...], _CommaSeparated] = Field(
        default=("127.0.0.1:9092",), min_length=1, description="`host:port`, comma-separated."
    )
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], _AnyCase
    ] = Field(default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None, _AnyCase, _EmptyIsNone
    ] = Field(default=None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; needed with SASL.")
    sasl_username: Annotated[str | None, _EmptyIsNone] = Field(
        default=None, description="Needed with SASL."
    )
    sasl_password: Annotated[SecretStr | None, _EmptyIsNone] = Field(
        default=None, description="Needed with SASL. Secret."
    )
    ssl_cafile: _OptionalFile = Field(
        default=None, description="PEM file of the authorities to trust; the system's without it."
    )
    ssl_certfile: _OptionalFile = Field(default=None, description="PEM file of our certificate.")
    ssl_keyfile: _OptionalFile = Field(
        default=None, description="PEM file of our certificate's key."
    )
    group: str = Field(
        default="llm-worker", min_length=1, description="Consumer group, and Faust's app id."
    )
    topic_prefix: str = Field(
        default="",
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="Put before every topic name as it stands; letters, digits, `.`, `_`, `-`.",
    )
    session_timeout_s: float = Field(
        default=45,
        ge=1,
        le=300,
        description="Seconds without a heartbeat until the group gives our partitions away, "
        "1 to 300; the broker has limits of its own.",
    )

    @model_validator(mode="after")
    def _has_what_sasl_needs(self) -> Self:
        needed = ("sasl_mechanism", "sasl_username", "sasl_password")
        missing = [
            f"LLM_WORKER_KAFKA__{name.upper()}" for name in needed if not getattr(self, name)
        ]
        if self.security_protocol.startswith("SASL") and missing:
            raise ValueError(f"{self.security_protocol} needs {', '.join(missing)}: set them too")
        return self


class CacheSettings(_Group):
    """Where known outcomes are kept."""

    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="URL of Redis or Valkey; empty: this process's memory alone. Secret.",
    )


class MockSettings(_Group):
    """The provider that costs nothing and judges by a seed."""

    error_rate: float = Field(
        default=0.05, ge=0, le=1, description="Share of calls that fail, 0 to 1."
    )
    seed: int = Field(default=42, description="Same seed and same request: same verdict.")
    latency_ms: int = Field(default=0, ge=0, description="Milliseconds a call takes, 0 or more.")
    malformed_rate: float = Field(
        default=0, ge=0, le=1, description="Share of answers that are no verdict, 0 to 1."
    )
    position_bias: float = Field(
        default=0, ge=-1, le=1, description="-1 (always the second essay) to 1 (always the first)."
    )
    timeout_s: float = Field(
        default=30, gt=0, description="Seconds until a call is given up, above 0; below DRAIN_S."
    )
    default_model: str = Field(default="mock-judge-1", min_length=1, description="Model's name.")
    journal: Annotated[Path | None, _EmptyIsNone] = Field(
        default=None, description="File: every call appended as one JSON line; for tests."
    )


class ProvidersSettings(_Group):
    """Each provider's own settings."""

    mock: MockSettings = MockSettings()


class BreakerSettings(_Group):
    """When to stop calling what fails; of each provider and of the publisher."""

    failure_threshold: int = Field(
        default=5, ge=1, description="Failures in a row that open the breaker, 1 or more."
    )
    recovery_timeout_s: float = Field(
        default=60, gt=0, description="Seconds open until one probe may pass, above 0."
    )


class WebSettings(_Group):
    """Where the worker answers HTTP."""

    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to bind; 0.0.0.0 is every one."
    )
    port: int = Field(default=8080, ge=0, le=65535, description="0 to 65535; 0 is any free port.")


class LogSettings(_Group):
    """What is logged, to stderr."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], _AnyCase] = Field(
        default="INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL."
    )
    format: Annotated[Literal["json", "console"] | None, _EmptyIsNone] = Field(
        default=None, description="json or console; none: json unless stderr is a terminal."
    )


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="LLM_WORKER_",
        env_nested_delimiter="__",
        enable_decoding=False,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
    )

    kafka: KafkaSettings = KafkaSettings()
    cache: CacheSettings = CacheSettings()
    providers: ProvidersSettings = ProvidersSettings()
    use_mock_llm: bool = Field(
        default=False, description="true or false; true: every target becomes the mock."
    )
    breaker: BreakerSettings = BreakerSettings()
    max_in_flight: int = Field(
        default=500,
        ge=2,
        description="Calls running at once in one worker, 2 or more; ten times as many requests "
        "may be waiting.",
    )
    drain_s: float = Field(
        default=60,
        gt=0,
        description="Seconds that a stopping worker gives its running calls, above 0.",
    )
    request_deadline_s: float = Field(
        default=300,
        gt=0,
        description="Seconds from its arrival until a request is answered with TIMEOUT, above 0.",
    )
    callback_patterns: Annotated[tuple[str, ...], _CommaSeparated] = Field(
        default=("huleedu.*",),
        min_length=1,
        description="Reply topics a request may name: glob patterns, comma-separated.",
    )
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    environment: str = Field(
        default="development", min_length=1, description="Name of this installation, as reported."
    )

    @model_validator(mode="after")
    def _drains_longer_than_a_call(self) -> Self:
        if self.providers.mock.timeout_s >= self.drain_s:
            raise ValueError(
                "LLM_WORKER_PROVIDERS__MOCK__TIMEOUT_S must be less than LLM_WORKER_DRAIN_S, so "
                "that a running call can end before the drain does: lower the first or raise "
                "the second"
            )
        return self
