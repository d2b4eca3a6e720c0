"""Where a request may go: its pin, a rule, or the configured targets, with real models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_worker.contracts.request import CacheMode
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.errors import NoTargetError, UnknownModelError
from llm_worker.domain.fingerprint import fingerprint_of
from llm_worker.domain.outcome import Target
from llm_worker.domain.routing import Place, Route, Traits
from llm_worker.domain.strategies import Strategy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llm_worker.application.ports import Provider
    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.domain.errors import WorkerError
    from llm_worker.domain.routing import Routing

_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where a request may go; with a `fingerprint` its verdict is kept under it.

    `is_shared`: a verdict that is known, or being bought for another, will do.
    """

    route: Route
    fingerprint: str = ""
    is_shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The configured routing over the providers that there are.

    `stand_in` answers for every provider when it is given (`USE_MOCK_LLM`).
    """

    providers: Mapping[ProviderName, Provider]
    routing: Routing
    stand_in: ProviderName | None = None
    _known: dict[tuple[tuple[Place, ...], Strategy], Route] = field(default_factory=dict)

    def plan(
        self,
        asked: LLMComparisonRequestV1,
        *,
        lane: Lane,
        prompt_bytes: int,
        is_late: bool = False,
    ) -> Plan | WorkerError:
        """Say where a request may go, and what the cache may do for it; late ones get no answer."""
        try:
            route = self.route_of(asked, lane=lane, prompt_bytes=prompt_bytes)
        except (NoTargetError, UnknownModelError) as error:
            return error
        if is_late or asked.cache_mode is CacheMode.BYPASS:
            return Plan(route=route)
        return Plan(
            route=route,
            fingerprint=fingerprint_of(asked, route),
            is_shared=asked.cache_mode is CacheMode.USE,
        )

    def route_of(
        self, asked: LLMComparisonRequestV1, *, lane: Lane = Lane.NORMAL, prompt_bytes: int = 0
    ) -> Route:
        """Give the targets that may answer the request.

        Raises:
            NoTargetError: the provider asked for is not configured here.
            UnknownModelError: none of the providers has the model asked for.
        """
        overrides = asked.llm_config_overrides
        model = overrides.model_override if overrides else None
        if self.stand_in is not None:
            return self._pinned(self.stand_in, model)
        if overrides is not None and overrides.provider_override is not None:
            return self._pinned(overrides.provider_override, model)
        traits = Traits(
            organization=asked.organization_id, model=model, lane=lane, prompt_bytes=prompt_bytes
        )
        rule = self.routing.rule_for(traits) if self.routing.rules else None
        places = rule.places if rule else self.routing.places
        strategy = (rule and rule.strategy) or self.routing.strategy
        if model is None:
            return self._configured(places, strategy)
        return self._for_model(
            places if rule else (*places, *self._others(places)), model, strategy
        )

    def first_target(self, asked: LLMComparisonRequestV1 | None = None) -> Target:
        """Name who would be asked first; for a provider that is not there, its bare name."""
        if asked is not None:
            try:
                return self.route_of(asked).targets[0]
            except (NoTargetError, UnknownModelError):
                return self._bare_target(asked)
        if self.stand_in is not None:
            return self._target(Place(provider=self.stand_in))
        return self._target(self.routing.places[0])

    def configured(self) -> Sequence[Target]:
        """Give the targets that are called without being asked for by name, and each default."""
        ruled = (place for rule in self.routing.rules for place in rule.places)
        defaults = (Place(provider=name) for name in self.providers)
        return list(dict.fromkeys(map(self._target, (*self.routing.places, *ruled, *defaults))))

    def _pinned(self, name: ProviderName, model: str | None) -> Route:
        provider = self.providers.get(name)
        if provider is None:
            known = ", ".join(sorted(self.providers))
            raise NoTargetError(f"provider {name} is not configured here; ask one of: {known}")
        if model is not None and not provider.models.knows(model):
            raise _unknown_model(model, [provider])
        return Route((self._target(Place(provider=name, model=model)),), Strategy.PRIORITY)

    def _configured(self, places: tuple[Place, ...], strategy: Strategy) -> Route:
        key = (places, strategy)
        if key not in self._known:
            self._known[key] = Route(tuple(map(self._target, places)), strategy)
        return self._known[key]

    def _for_model(self, places: Sequence[Place], model: str, strategy: Strategy) -> Route:
        names = dict.fromkeys(place.provider for place in places)
        asked = [self.providers[name] for name in names]
        having = [provider for provider in asked if provider.models.knows(model)]
        if not having:
            raise _unknown_model(model, asked)
        return Route(
            tuple(Target(provider=provider.name, model=model) for provider in having), strategy
        )

    def _others(self, places: Sequence[Place]) -> Iterator[Place]:
        """Give the providers that are not named, but never the mock: it has every model."""
        named = {ProviderName.MOCK, *(place.provider for place in places)}
        return (Place(provider=name) for name in self.providers if name not in named)

    def _target(self, place: Place) -> Target:
        model = place.model or self.providers[place.provider].default_model
        return Target(provider=place.provider, model=model)

    def _bare_target(self, asked: LLMComparisonRequestV1) -> Target:
        overrides = asked.llm_config_overrides
        first = self.first_target()
        provider = (overrides and overrides.provider_override) or first.provider
        model = (overrides and overrides.model_override) or "unknown"
        return Target(provider=provider, model=model)


def _unknown_model(model: str, asked: Sequence[Provider]) -> UnknownModelError:
    nearest = [name for provider in asked for name in provider.models.nearest(model)]
    names = ", ".join(provider.name for provider in asked)
    like = f"nearest: {', '.join(nearest[:5])}" if nearest else "no name is like it"
    return UnknownModelError(
        f"model_override {model[:_SHOWN_CHARACTERS]!r} is no model of {names}; {like}. If it is "
        "new, an operator can add it to LLM_WORKER_PROVIDERS__<NAME>__MODELS"
    )
