"""Which targets a request may go to: given by a rule, or the default ones."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_worker.contracts.vocabulary import Lane, ProviderName
    from llm_worker.domain.outcome import Target
    from llm_worker.domain.strategies import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where work may go by configuration: a provider, and a model or (None) its default."""

    provider: ProviderName
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What rules look at in a request."""

    organization: str | None
    model: str | None
    lane: Lane
    prompt_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Where requests go that have all the traits named; None is any.

    `organization` and `model` are glob patterns. Sizes are of the prompt in UTF-8 bytes.
    """

    places: tuple[Place, ...]
    strategy: Strategy | None = None
    organization: str | None = None
    model: str | None = None
    lane: Lane | None = None
    min_bytes: int = 0
    max_bytes: int | None = None

    def matches(self, traits: Traits) -> bool:
        """Say whether the rule is about such a request."""
        return (
            _fits(self.organization, traits.organization)
            and _fits(self.model, traits.model)
            and self.lane in {None, traits.lane}
            and traits.prompt_bytes >= self.min_bytes
            and (self.max_bytes is None or traits.prompt_bytes <= self.max_bytes)
        )


@dataclass(frozen=True, slots=True)
class Route:
    """The targets of a request in the configured order, never empty, and how to choose."""

    targets: tuple[Target, ...]
    strategy: Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The configuration: the first rule that matches, or else `places`."""

    places: tuple[Place, ...]
    strategy: Strategy
    rules: tuple[Rule, ...] = ()

    def rule_for(self, traits: Traits) -> Rule | None:
        """Give the first rule that matches."""
        return next((rule for rule in self.rules if rule.matches(traits)), None)


def _fits(pattern: str | None, value: str | None) -> bool:
    return pattern is None or (value is not None and fnmatchcase(value, pattern))
