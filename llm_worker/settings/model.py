"""The settings and what each means; descriptions carry the unit and the range."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.strategies import Strategy
from llm_worker.settings.accountant import AccountantSettings
from llm_worker.settings.budget import BudgetSettings
from llm_worker.settings.cache import CacheSettings
from llm_worker.settings.kinds import (
    Address,
    AnyCase,
    CommaSeparated,
    EmptyIsNone,
    Group,
    JsonText,
    LowerCase,
    OptionalFile,
    OptionalSecret,
)
from llm_worker.settings.providers import ProvidersSettings


class KafkaSettings(Group):
    """How to reach Kafka, and as whom."""

    bootstrap_servers: Annotated[tuple[Address, ...], CommaSeparated] = Field(
        default=("127.0.0.1:9092",), min_length=1, description="`host:port`, comma-separated."
    )
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], AnyCase
    ] = Field(default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None, AnyCase, EmptyIsNone
    ] = Field(default=None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; needed with SASL.")
    sasl_username: Annotated[str | None, EmptyIsNone] = Field(
        default=None, description="Login name; needed with SASL."
    )
    sasl_password: Annotated[SecretStr | None, EmptyIsNone] = Field(
        default=None, description="Password; needed with SASL. Secret."
    )
    ssl_cafile: OptionalFile = Field(
        default=None, description="PEM file of the authorities to trust; the system's without it."
    )
    ssl_certfile: OptionalFile = Field(default=None, description="PEM file of our certificate.")
    ssl_keyfile: OptionalFile = Field(
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


class RuleSettings(Group):
    """One routing rule, as JSON or as a TOML table."""

    targets: Annotated[tuple[str, ...], CommaSeparated] = Field(min_length=1)
    strategy: Annotated[Strategy | None, EmptyIsNone] = None
    organization: str | None = None
    model: str | None = None
    lane: Lane | None = None
    min_bytes: int = Field(default=0, ge=0)
    max_bytes: int | None = Field(default=None, ge=0)


class RoutingSettings(Group):
    """Which targets a request goes to, and in which order."""

    strategy: Annotated[Strategy, LowerCase] = Field(
        default=Strategy.PRIORITY,
        description="Runtime: priority, round_robin, least_cost, least_latency or weighted_random.",
    )
    default_provider: Annotated[ProviderName | None, LowerCase, EmptyIsNone] = Field(
        default=None,
        description="Provider that is tried first; none: the enabled one of the lowest PRIORITY.",
    )
    fallback: Annotated[tuple[str, ...] | None, CommaSeparated] = Field(
        default=None,
        description="Targets that are tried after the default provider, in this order: `provider` "
        "or `provider/model`, comma-separated; none: every other enabled one but the mock; empty: "
        "nobody.",
    )
    rules: Annotated[tuple[RuleSettings, ...], JsonText] = Field(
        default=(),
        description="JSON list; the first that matches wins. Each has `targets` (as in FALLBACK) "
        "and any of `strategy`, `organization` and `model` (glob patterns), `lane` (normal, bulk), "
        "`min_bytes` and `max_bytes` (of the prompt).",
    )


class RetrySettings(Group):
    """How often and how soon to try again."""

    attempts: int = Field(
        default=4,
        ge=1,
        le=20,
        description="Runtime: calls for one request over all targets, 1 to 20.",
    )
    backoff_s: float = Field(
        default=0.5,
        gt=0,
        description="Runtime: seconds a target is left alone after a failure, at most: "
        "a random part of it, doubled with each failure; above 0.",
    )
    backoff_max_s: float = Field(
        default=20,
        gt=0,
        description="Runtime: seconds that a target is left alone after failures at most, above 0.",
    )


class HealthSettings(Group):
    """How providers are watched while nobody asks them."""

    probe_interval_s: float = Field(
        default=0,
        ge=0,
        description="Seconds between free calls to providers that are idle or whose circuit "
        "breaker is open; 0: none.",
    )


class BreakerSettings(Group):
    """When to stop calling what fails; of each provider and of the publisher."""

    failure_threshold: int = Field(
        default=5, ge=1, description="Runtime: failures in a row that open the breaker, 1 or more."
    )
    recovery_timeout_s: float = Field(
        default=60, gt=0, description="Runtime: seconds open until one probe may pass, above 0."
    )


class WebSettings(Group):
    """Where the processes answer HTTP."""

    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to bind; 0.0.0.0 is every one."
    )
    port: int = Field(
        default=8080, ge=0, le=65535, description="The worker's, 0 to 65535; 0 is any free port."
    )
    accountant_port: int = Field(
        default=8081,
        ge=0,
        le=65535,
        description="The accountant's, 0 to 65535; 0 is any free port.",
    )
    api_key: OptionalSecret = Field(
        default=None,
        description="Wanted for POST /api/v1/comparison, as Bearer or X-API-Key; none: refused "
        "where HOST is reachable from elsewhere, free on loopback. Secret.",
    )
    allow_anonymous: bool = Field(
        default=False,
        description="true or false; true: whoever reaches HOST may buy verdicts without a key.",
    )


class LogSettings(Group):
    """What is logged, to stderr."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], AnyCase] = Field(
        default="INFO", description="Runtime: DEBUG, INFO, WARNING, ERROR or CRITICAL."
    )
    format: Annotated[Literal["json", "console"] | None, EmptyIsNone] = Field(
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
        hide_input_in_errors=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    cache: CacheSettings = CacheSettings()
    providers: ProvidersSettings = ProvidersSettings()
    use_mock_llm: bool = Field(
        default=False, description="true or false; true: every target becomes the mock."
    )
    routing: RoutingSettings = RoutingSettings()
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()
    health: HealthSettings = HealthSettings()
    budget: BudgetSettings = BudgetSettings()
    accountant: AccountantSettings = AccountantSettings()
    max_in_flight: int = Field(
        default=500,
        ge=2,
        description="Runtime: calls running at once in one worker, 2 or more; ten times as many "
        "requests, but at most 4,000, may be waiting.",
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
    callback_patterns: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=("huleedu.*",),
        min_length=1,
        description="Reply topics a request may name: glob patterns, comma-separated.",
    )
    web: WebSettings = WebSettings()
    admin_api_key: OptionalSecret = Field(
        default=None,
        description="Wanted for /api/v1/admin and for provider tests over HTTP, as Bearer or "
        "X-API-Key; none: these are off. Secret.",
    )
    log: LogSettings = LogSettings()
    environment: str = Field(
        default="development", min_length=1, description="Name of this installation, as reported."
    )
