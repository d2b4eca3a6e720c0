"""From settings to routing, and everything that is wrong with either, told at once."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from llm_worker.application.routes import Routes
from llm_worker.bootstrap.providers import (
    default_model,
    is_configured,
    is_enabled,
    models_of,
    own_settings,
    usable_providers,
)
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.routing import Place, Routing, Rule
from llm_worker.settings import variable_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from llm_worker.application.ports import Clock, Provider
    from llm_worker.settings import RuleSettings, Settings

_WAY_OUT = "set one's key (ANTHROPIC_API_KEY, OPENAI_API_KEY, GOOGLE_API_KEY, OPENROUTER_API_KEY)"


def routing_of(settings: Settings) -> Routing:
    """Give the routing; the settings have no fault (`routing_faults`)."""
    return Routing(
        places=_default_places(settings),
        strategy=settings.routing.strategy,
        rules=() if settings.use_mock_llm else tuple(map(_rule_of, settings.routing.rules)),
    )


def build_routes(settings: Settings, providers: Mapping[ProviderName, Provider]) -> Routes:
    """Wire the routing over the providers; the settings have no fault (`routing_faults`)."""
    return Routes(
        providers=providers,
        routing=routing_of(settings),
        stand_in=ProviderName.MOCK if settings.use_mock_llm else None,
    )


def place_of(text: str) -> Place:
    """Read `provider` or `provider/model`.

    Raises:
        ValueError: there is no such provider.
    """
    name, _, model = text.partition("/")
    return Place(provider=ProviderName(name.lower()), model=model or None)


def provider_warnings(settings: Settings) -> list[str]:
    """Say which enabled providers are left out, and why."""
    return [
        f"provider {name} is left out: {lacking(settings, name)}"
        for name in ProviderName
        if is_enabled(settings, name) and not is_configured(settings, name)
    ]


def lacking(settings: Settings, name: ProviderName) -> str:
    """Say what to do, so that a provider that is not usable can be called."""
    steps = []
    if settings.use_mock_llm and name is not ProviderName.MOCK:
        steps.append("unset LLM_WORKER_USE_MOCK_LLM")
    if own_settings(settings, name).enabled is False or name is ProviderName.MOCK:
        steps.append(f"set {_variable(name, 'enabled')}=true")
    if not is_configured(settings, name):
        needed = ("base_url", "default_model") if name is ProviderName.SELF_HOSTED else ("api_key",)
        steps.append(f"set {' and '.join(_variable(name, field) for field in needed)}")
    return " and ".join(steps)


def routing_faults(settings: Settings, clock: Clock) -> list[str]:
    """Say what keeps a worker from routing by these settings, each with its remedy."""
    usable = usable_providers(settings)
    if not usable:
        trial = "or for a trial LLM_WORKER_USE_MOCK_LLM=true"
        left_out = [f"{words}, {trial}" for words in provider_warnings(settings)]
        return left_out or [f"no provider is enabled: {_WAY_OUT}, {trial}"]
    return list(
        chain(
            _time_faults(settings, usable),
            _model_faults(settings, usable, clock),
            () if settings.use_mock_llm else _place_faults(settings, usable, clock),
        )
    )


def _time_faults(settings: Settings, usable: Iterable[ProviderName]) -> Iterator[str]:
    for name in usable:
        if own_settings(settings, name).timeout_s >= settings.drain_s:
            yield (
                f"{_variable(name, 'timeout_s')} must be less than LLM_WORKER_DRAIN_S, so that a "
                "running call can end before the drain does: lower the first or raise the second"
            )
    if settings.retry.backoff_s > settings.retry.backoff_max_s:
        yield (
            "LLM_WORKER_RETRY__BACKOFF_S is more than LLM_WORKER_RETRY__BACKOFF_MAX_S: lower the "
            "first or raise the second"
        )


def _model_faults(
    settings: Settings, usable: Iterable[ProviderName], clock: Clock
) -> Iterator[str]:
    for name in usable:
        yield from _unknown_model(
            settings,
            Place(provider=name, model=default_model(settings, name)),
            _variable(name, "default_model"),
            clock,
        )


def _place_faults(
    settings: Settings, usable: tuple[ProviderName, ...], clock: Clock
) -> Iterator[str]:
    routing = settings.routing
    first = routing.default_provider
    named = [("LLM_WORKER_ROUTING__DEFAULT_PROVIDER", first.value)] if first else []
    named += [("LLM_WORKER_ROUTING__FALLBACK", text) for text in routing.fallback or ()]
    for number, rule in enumerate(routing.rules, start=1):
        where = f"LLM_WORKER_ROUTING__RULES, rule {number}"
        named += [(where, text) for text in rule.targets]
        if rule.max_bytes is not None and rule.max_bytes < rule.min_bytes:
            yield f"{where}: max_bytes is less than min_bytes, so nothing fits: correct one"
    for where, text in named:
        yield from _place_fault(settings, where, text, usable, clock)


def _place_fault(
    settings: Settings, where: str, text: str, usable: tuple[ProviderName, ...], clock: Clock
) -> Iterator[str]:
    try:
        place = place_of(text)
    except ValueError:
        yield f"{where}: {text} names no provider: use one of {', '.join(ProviderName)}"
        return
    if place.provider not in usable:
        remedy = lacking(settings, place.provider)
        yield f"{where}: {place.provider} is not enabled: {remedy}, or leave it out"
    elif place.model is not None:
        yield from _unknown_model(settings, place, where, clock)


def _unknown_model(settings: Settings, place: Place, where: str, clock: Clock) -> Iterator[str]:
    models, model = models_of(settings, place.provider, clock), place.model or ""
    if not models.knows(model):
        nearest = ", ".join(models.nearest(model)) or "none is like it"
        yield (
            f"{where}: {model} is no model of {place.provider} that we know; nearest: {nearest}. "
            f"If it is new, add it to {_variable(place.provider, 'models')}"
        )


def _default_places(settings: Settings) -> tuple[Place, ...]:
    usable, routing = usable_providers(settings), settings.routing
    if settings.use_mock_llm:
        return (Place(provider=ProviderName.MOCK),)
    # The mock judges nobody's essays by surprise: it must be named, or be alone.
    willing = tuple(name for name in usable if name is not ProviderName.MOCK) or usable
    first = Place(provider=routing.default_provider or willing[0])
    if routing.fallback is not None:
        rest = [place_of(text) for text in routing.fallback]
    else:
        rest = [Place(provider=name) for name in willing if name != first.provider]
    return tuple(dict.fromkeys((first, *rest)))


def _rule_of(rule: RuleSettings) -> Rule:
    return Rule(
        places=tuple(map(place_of, rule.targets)),
        strategy=rule.strategy,
        organization=rule.organization,
        model=rule.model,
        lane=rule.lane,
        min_bytes=rule.min_bytes,
        max_bytes=rule.max_bytes,
    )


def _variable(name: ProviderName, field: str) -> str:
    return variable_name(("providers", name, field))
