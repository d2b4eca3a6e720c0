"""The settings of the providers: who may judge, as whom, and how much at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from llm_worker.settings.kinds import (
    CommaSeparated,
    EmptyIsNone,
    Group,
    HeaderText,
    OptionalSecret,
    Stripped,
)

_Text = Annotated[str | None, EmptyIsNone]
_BaseUrl = Annotated[
    Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")] | None, EmptyIsNone
]
_PerMinute = Annotated[Annotated[int, Field(ge=1)] | None, EmptyIsNone]


class ProviderSettings(Group):
    """What every provider has."""

    enabled: Annotated[bool | None, EmptyIsNone] = Field(
        default=None,
        description="Runtime: true or false; none: on where its key is set (self_hosted: its base "
        "URL and default model; mock: never).",
    )
    default_model: _Text = Field(
        default=None,
        description="Model for requests that name none; none: a cheap current one, "
        "`llm-worker providers list` shows it.",
    )
    timeout_s: float = Field(
        default=45, gt=0, description="Seconds until a call is given up, above 0; below DRAIN_S."
    )
    max_in_flight: Annotated[Annotated[int, Field(ge=1)] | None, EmptyIsNone] = Field(
        default=None,
        description="Calls to it at once, 1 or more; none: three quarters of MAX_IN_FLIGHT, or "
        "all of it where it is the only provider.",
    )
    requests_per_minute: _PerMinute = Field(
        default=None,
        description="Requests a minute that the provider is sent at most, 1 or more; more of them "
        "wait; none: as the headers of its answers say.",
    )
    tokens_per_minute: _PerMinute = Field(
        default=None,
        description="Tokens a minute, of prompts and answers, that the provider is sent at most, "
        "1 or more; more of them wait; none: as the headers of its answers say.",
    )
    priority: int = Field(
        default=100, description="Without FALLBACK, providers are tried from the lowest number up."
    )
    weight: float = Field(
        default=1, ge=0, description="Share of the work under weighted_random, 0 or more."
    )


class RemoteSettings(ProviderSettings):
    """What every provider over HTTP has."""

    key_is_a_login: ClassVar[bool] = True
    """Whether the key goes where a login of the URL would go, too: the Authorization header."""

    api_key: OptionalSecret = Field(default=None, description="Key of its API. Secret.")
    base_url: _BaseUrl = Field(
        default=None, description="Another address of its API; none: the provider's own."
    )
    models: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=(),
        description="Models that requests may name beside those known, comma-separated.",
    )

    @model_validator(mode="after")
    def _has_one_login(self) -> Self:
        has_login = self.base_url is not None and "@" in urlsplit(self.base_url).netloc
        if self.key_is_a_login and has_login and self.api_key is not None:
            raise ValueError(
                "BASE_URL has a login, which cannot be sent beside API_KEY: take one of them away"
            )
        return self


class GoogleSettings(RemoteSettings):
    """Google Gemini."""

    key_is_a_login = False

    api_version: Annotated[str, StringConstraints(pattern=r"^v\d+[a-z0-9]*$")] = Field(
        default="v1", description="Version in its paths: v1, or v1beta for early features."
    )


class OpenRouterSettings(RemoteSettings):
    """OpenRouter."""

    http_referer: Annotated[str | None, Stripped, HeaderText] = Field(
        default=None, description="Address of your application."
    )
    title: Annotated[str, HeaderText] = Field(
        default="llm-worker", description="Name of your application."
    )


class FlatPriceSettings(Group):
    """The price of whoever is in nobody's list."""

    input_usd_per_mtok: float = Field(
        default=0,
        ge=0,
        description="US dollars per million prompt tokens of SELF_HOSTED or MOCK, 0 or more.",
    )
    output_usd_per_mtok: float = Field(
        default=0,
        ge=0,
        description="US dollars per million answer tokens of SELF_HOSTED or MOCK, 0 or more.",
    )


class SelfHostedSettings(RemoteSettings, FlatPriceSettings):
    """An OpenAI-compatible server of one's own: vLLM, llama.cpp, Ollama."""


class MockSettings(ProviderSettings, FlatPriceSettings):
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
    journal: Annotated[Path | None, EmptyIsNone] = Field(
        default=None, description="File: every call appended as one JSON line; for tests."
    )


class ProvidersSettings(Group):
    """Each provider's own settings."""

    anthropic: RemoteSettings = RemoteSettings()
    openai: RemoteSettings = RemoteSettings()
    google: GoogleSettings = GoogleSettings()
    openrouter: OpenRouterSettings = OpenRouterSettings()
    self_hosted: SelfHostedSettings = SelfHostedSettings()
    mock: MockSettings = MockSettings()
