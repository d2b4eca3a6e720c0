"""From settings to providers: who there is, with which models, within which limits.

A new provider is registered here, in `_SPEAKERS`, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

from llm_worker.adapters.providers import anthropic, google, openai, openrouter, self_hosted
from llm_worker.adapters.providers.catalog import FlatPrices
from llm_worker.adapters.providers.http_provider import HttpProvider
from llm_worker.adapters.providers.mock import MockBehaviour, MockProvider
from llm_worker.adapters.providers.openai_models import surcharge
from llm_worker.adapters.providers.prices import PriceBook
from llm_worker.adapters.providers.transport import open_transport
from llm_worker.application.gate import Limits
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.settings import RemoteSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_worker.adapters.providers.catalog import PricedModels
    from llm_worker.adapters.providers.dialect import Dialect
    from llm_worker.application.ports import Clock, Provider
    from llm_worker.settings import FlatPriceSettings, ProviderSettings, Settings

MOCK_MODEL = "mock-judge-1"
_SHARE_OF_ONE_AMONG_MANY = 0.75


class _Speaks(Protocol):
    """What a dialect's module says of its provider."""

    DEFAULT_BASE_URL: str | None
    DEFAULT_MODEL: str | None
    UNPRICED_MODELS: tuple[str, ...]
    UNUSABLE_MODELS: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Speaker:
    """A provider over HTTP: its module, and how its dialect is made from its settings and key."""

    module: Any
    dialect: Callable[[Any, str | None], Dialect]
    surcharge: Callable[[str], Callable[[str], Decimal] | None] = lambda _base_url: None
    """Gives, for a base URL, what a model's list price is multiplied by there."""

    @property
    def speaks(self) -> _Speaks:
        """The module's facts."""
        return cast("_Speaks", self.module)


_SPEAKERS: Mapping[ProviderName, _Speaker] = MappingProxyType(
    {
        ProviderName.ANTHROPIC: _Speaker(
            anthropic, lambda _, key: anthropic.AnthropicDialect(api_key=key)
        ),
        ProviderName.OPENAI: _Speaker(
            openai, lambda _, key: openai.OpenAIDialect(api_key=key), surcharge
        ),
        ProviderName.GOOGLE: _Speaker(
            google,
            lambda own, key: google.GoogleDialect(api_key=key, api_version=own.api_version),
        ),
        ProviderName.OPENROUTER: _Speaker(
            openrouter,
            lambda own, key: openrouter.OpenRouterDialect(
                api_key=key, http_referer=own.http_referer, title=own.title
            ),
        ),
        ProviderName.SELF_HOSTED: _Speaker(
            self_hosted, lambda _, key: self_hosted.SelfHostedDialect(api_key=key)
        ),
    }
)


def own_settings(settings: Settings, name: ProviderName) -> ProviderSettings:
    """Give a provider's settings."""
    return cast("ProviderSettings", getattr(settings.providers, name))


def is_configured(settings: Settings, name: ProviderName) -> bool:
    """Say whether the provider has what a call needs."""
    own = own_settings(settings, name)
    if not isinstance(own, RemoteSettings):
        return True
    if name is ProviderName.SELF_HOSTED:
        return own.base_url is not None and own.default_model is not None
    return own.api_key is not None


def is_enabled(settings: Settings, name: ProviderName) -> bool:
    """Say whether the provider is meant to be called; it may still lack its key."""
    if settings.use_mock_llm:
        return name is ProviderName.MOCK
    wanted = own_settings(settings, name).enabled
    if wanted is None:
        return name is not ProviderName.MOCK and is_configured(settings, name)
    return wanted


def usable_providers(settings: Settings) -> tuple[ProviderName, ...]:
    """Give those that are enabled and configured, from the lowest PRIORITY up."""
    usable = [
        name
        for name in ProviderName
        if is_enabled(settings, name) and is_configured(settings, name)
    ]
    return tuple(sorted(usable, key=lambda name: own_settings(settings, name).priority))


def default_model(settings: Settings, name: ProviderName) -> str:
    """Give the model for requests that name none."""
    own = own_settings(settings, name).default_model
    if own is not None:
        return own
    return MOCK_MODEL if name is ProviderName.MOCK else _SPEAKERS[name].speaks.DEFAULT_MODEL or ""


def models_of(settings: Settings, name: ProviderName, clock: Clock) -> PricedModels:
    """Give a provider's models and prices."""
    own = own_settings(settings, name)
    named = own.models if isinstance(own, RemoteSettings) else ()
    if name in {ProviderName.SELF_HOSTED, ProviderName.MOCK}:
        price, is_open = cast("FlatPriceSettings", own), name is ProviderName.MOCK
        return FlatPrices(
            input_usd=Decimal(str(price.input_usd_per_mtok)),
            output_usd=Decimal(str(price.output_usd_per_mtok)),
            names=() if is_open else (default_model(settings, name), *named),
        )
    speaker, base_url = _SPEAKERS[name], cast("RemoteSettings", own).base_url or ""
    return PriceBook(
        name,
        clock=clock,
        also_known=(*speaker.speaks.UNPRICED_MODELS, *named),
        unusable=speaker.speaks.UNUSABLE_MODELS,
        factor_of=speaker.surcharge(base_url),
    )


def limits_of(settings: Settings, name: ProviderName) -> Limits:
    """Give what may go to a provider at once and a minute."""
    own, among = own_settings(settings, name), len(usable_providers(settings))
    share = 1.0 if among <= 1 else _SHARE_OF_ONE_AMONG_MANY
    return Limits(
        max_in_flight=own.max_in_flight or max(1, int(settings.max_in_flight * share)),
        requests_per_minute=own.requests_per_minute,
        tokens_per_minute=own.tokens_per_minute,
    )


def build_providers(settings: Settings, clock: Clock) -> dict[ProviderName, Provider]:
    """Make every provider that can be called, or could once it is enabled.

    Nothing is opened before the first call.
    """
    possible = (ProviderName.MOCK,) if settings.use_mock_llm else tuple(ProviderName)
    return {
        name: build_provider(settings, name, clock)
        for name in possible
        if is_configured(settings, name)
    }


def build_provider(settings: Settings, name: ProviderName, clock: Clock) -> Provider:
    """Make a provider; nothing is opened before its first call."""
    models, own = models_of(settings, name, clock), own_settings(settings, name)
    if not isinstance(own, RemoteSettings):
        return _mock(settings, models)
    speaker = _SPEAKERS[name]
    base_url = own.base_url or speaker.speaks.DEFAULT_BASE_URL or ""
    key = own.api_key.get_secret_value() if own.api_key else None
    return HttpProvider(
        dialect=speaker.dialect(own, key),
        # No limit of its own: its gate has one, which may change.
        transport=open_transport(base_url),
        base_url=base_url.rstrip("/"),
        default_model=default_model(settings, name),
        timeout_s=own.timeout_s,
        models=models,
        clock=clock,
    )


def _mock(settings: Settings, models: PricedModels) -> MockProvider:
    mock = settings.providers.mock
    behaviour = MockBehaviour(
        seed=mock.seed,
        error_rate=mock.error_rate,
        malformed_rate=mock.malformed_rate,
        position_bias=mock.position_bias,
        latency_ms=mock.latency_ms,
        journal=mock.journal,
    )
    return MockProvider(
        behaviour,
        default_model=default_model(settings, ProviderName.MOCK),
        timeout_s=mock.timeout_s,
        models=models,
    )
