"""What the settings make of each provider, for `llm-worker providers list`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_worker import bootstrap
from llm_worker.adapters.providers.catalog import ModelRow
from llm_worker.bootstrap.providers.configured import (
    default_model,
    is_configured,
    is_enabled,
    limits_of,
    models_of,
    own_settings,
)
from llm_worker.bootstrap.providers.routing import lacking, routing_faults, routing_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from llm_worker.application.gate import Limits
    from llm_worker.application.ports import Clock
    from llm_worker.bootstrap import Settings
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.routing import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """A provider by its settings.

    `remedy` says what would make it usable, None where it is; `places` are those in the default
    route, counted from 1. Prices in USD per million tokens, None is unknown.
    """

    name: ProviderName
    is_enabled: bool
    is_configured: bool
    remedy: str | None
    places: tuple[int, ...]
    default_model: str | None
    input_usd: Decimal | None
    output_usd: Decimal | None
    priority: int
    weight: float
    limits: Limits
    timeout_s: float

    @property
    def in_a_word(self) -> str:
        """Whether it may be called."""
        if not self.is_enabled:
            return "off"
        return "ready" if self.is_configured else "left out"


def settings_and_faults(clock: Clock) -> tuple[Settings, list[str]]:
    """Read the settings, those at fault at their defaults, and say what a worker would refuse.

    Raises:
        SettingsError: they cannot be read at all.
    """
    judged: list[Settings] = []

    def checks(settings: Settings) -> list[str]:
        judged.append(settings)
        return routing_faults(settings, clock)

    try:
        return bootstrap.load_settings(checks=checks), []
    except bootstrap.SettingsError as error:
        if not judged:
            raise
        return judged[0], str(error).splitlines()


def default_route(settings: Settings, faults: Sequence[str]) -> tuple[Place, ...]:
    """Give where requests go by default, in the configured order; nowhere with faults."""
    return () if faults else routing_of(settings).places


def state_of(
    settings: Settings, name: ProviderName, route: Sequence[Place], clock: Clock
) -> ProviderState:
    """Say what the settings make of a provider."""
    own, enabled = own_settings(settings, name), is_enabled(settings, name)
    configured = is_configured(settings, name)
    row = next(
        (row for row in model_rows(settings, name, clock) if row.is_default), ModelRow(model="")
    )
    return ProviderState(
        name=name,
        is_enabled=enabled,
        is_configured=configured,
        remedy=None if enabled and configured else lacking(settings, name),
        places=tuple(at for at, place in enumerate(route, start=1) if place.provider is name),
        default_model=row.model or None,
        input_usd=row.input_usd,
        output_usd=row.output_usd,
        priority=own.priority,
        weight=own.weight,
        limits=limits_of(settings, name),
        timeout_s=own.timeout_s,
    )


def model_rows(settings: Settings, name: ProviderName, clock: Clock) -> list[ModelRow]:
    """List the models that requests may name; without a default model none has an empty name."""
    rows = models_of(settings, name, clock).rows(default_model(settings, name))
    return [row for row in rows if row.model]
