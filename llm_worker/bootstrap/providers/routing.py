"""From settings to routing, and everything that is wrong with either, told at once."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from llm_worker.application.routes import Routes
from llm_worker.bootstrap.providers.configured import (
    default_model,
    is_configured,
    is_enabled,
    models_of,
    own_settings,
    usable_providers,
)
from llm_worker.bootstrap.providers.retries import backoff_faults
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.routing import Place, Routing, Rule
from llm_worker.settings import variable_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from llm_worker.application.ports import Clock, Provider
    from llm_worker.bootstrap.runtime.settings import Checks
    from llm_worker.settings import RuleSettings, Settings

_WAY_OUT = "set one's key (ANTHROPIC_API_KEY, OPENAI_API_KEY, GOOGLE_API_KEY, OPENROUTER_API_KEY)"


def routing_of(settings: Settings) -> Routing:
    """Give the routing; the settings have no fault (`routing_faults`).

    Whoever was disabled at run time is left out, wherever it is named.
    """
    usable = usable_providers(settings)
    rules = () if settings.use_mock_llm else settings.routing.rules
    return Routing(
        places=_of_usable(_default_places(settings), usable),
        strategy=settings.routing.strategy,
        rules=tuple(_rule_of(rule, usable) for rule in rules),
    )


def build_routes(settings: Settings, providers: Mapping[ProviderName, Provider]) -> Routes:
    """Wire the routing over those of the providers that are enabled.

    The settings have no fault (`routing_faults`). Those of the control topic are in them: who is
    enabled or disabled at run time is so in the targets that are the cache's key, as after a
    restart with that setting. A verdict is thus only found where whoever gave it might be asked; a
    disabled provider's lie idle until it is enabled again.
    """
    return Routes(
        providers={name: providers[name] for name in usable_providers(settings)},
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
    return [*_provider_faults(settings, clock), *backoff_faults(settings)]


def runtime_checks(clock: Clock) -> Checks:
    """Give what says why a worker cannot go by settings of which the control topic changes some.

    Beside what it would not start with, that is a switch without effect. It is for one process: all
    settings that it is asked about differ in runtime settings alone.
    """
    # What takes long to look at is the same as long as the same providers are enabled.
    known: dict[tuple[object, ...], list[str]] = {}

    def faults(settings: Settings, changed: Collection[str]) -> Iterator[str]:
        switched = [name for name in ProviderName if f"providers.{name}.enabled" in changed]
        off = tuple(name for name in switched if own_settings(settings, name).enabled is False)
        enabled = tuple(own_settings(settings, name).enabled for name in ProviderName)
        if (enabled, off) not in known:
            known[enabled, off] = _provider_faults(settings, clock, off)
        yield from known[enabled, off]
        yield from backoff_faults(settings)
        for name in switched:
            yield from _switch_faults(settings, name)

    return faults


def _provider_faults(
    settings: Settings, clock: Clock, switched_off: Collection[ProviderName] = ()
) -> list[str]:
    usable = usable_providers(settings)
    if not usable:
        trial = "or for a trial LLM_WORKER_USE_MOCK_LLM=true"
        left_out = [f"{words}, {trial}" for words in provider_warnings(settings)]
        return left_out or [f"no provider is enabled: {_WAY_OUT}, {trial}"]
    return list(
        chain(
            _time_faults(settings, usable),
            _model_faults(settings, usable, clock),
            () if settings.use_mock_llm else _place_faults(settings, usable, clock, switched_off),
            _left_alone(settings) if switched_off else (),
        )
    )


def _left_alone(settings: Settings) -> Iterator[str]:
    """Say which requests nobody would answer, as far as providers have been switched off."""
    routing = routing_of(settings)
    if not routing.places:
        yield "by default nobody would be asked: enable another provider first"
    for number, rule in enumerate(routing.rules, start=1):
        if not rule.places:
            yield (
                f"{_rule_name(number)}: nobody of its targets would be left: enable another of "
                "them first"
            )


def _time_faults(settings: Settings, usable: Iterable[ProviderName]) -> Iterator[str]:
    for name in usable:
        if own_settings(settings, name).timeout_s >= settings.drain_s:
            yield (
                f"{_variable(name, 'timeout_s')} must be less than LLM_WORKER_DRAIN_S, so that a "
                "running call can end before the drain does: lower the first or raise the second"
            )


def _switch_faults(settings: Settings, name: ProviderName) -> Iterator[str]:
    wanted, is_usable = own_settings(settings, name).enabled, name in usable_providers(settings)
    if wanted and not is_usable:
        yield f"{name} cannot be enabled: {lacking(settings, name)}"
    if wanted is False and is_usable:
        yield f"{name} stands in for every provider: unset LLM_WORKER_USE_MOCK_LLM"


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
    settings: Settings,
    usable: tuple[ProviderName, ...],
    clock: Clock,
    switched_off: Collection[ProviderName],
) -> Iterator[str]:
    routing = settings.routing
    first = routing.default_provider
    named = [("LLM_WORKER_ROUTING__DEFAULT_PROVIDER", first.value)] if first else []
    named += [("LLM_WORKER_ROUTING__FALLBACK", text) for text in routing.fallback or ()]
    for number, rule in enumerate(routing.rules, start=1):
        where = _rule_name(number)
        named += [(where, text) for text in rule.targets]
        if rule.max_bytes is not None and rule.max_bytes < rule.min_bytes:
            yield f"{where}: max_bytes is less than min_bytes, so nothing fits: correct one"
    for where, text in named:
        yield from _place_fault(settings, where, text, (*usable, *switched_off), clock)


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


def _of_usable(places: Iterable[Place], usable: Collection[ProviderName]) -> tuple[Place, ...]:
    return tuple(place for place in places if place.provider in usable)


def _rule_name(number: int) -> str:
    return f"LLM_WORKER_ROUTING__RULES, rule {number}"


def _rule_of(rule: RuleSettings, usable: Collection[ProviderName]) -> Rule:
    return Rule(
        places=_of_usable(map(place_of, rule.targets), usable),
        strategy=rule.strategy,
        organization=rule.organization,
        model=rule.model,
        lane=rule.lane,
        min_bytes=rule.min_bytes,
        max_bytes=rule.max_bytes,
    )


def _variable(name: ProviderName, field: str) -> str:
    return variable_name(("providers", name, field))
