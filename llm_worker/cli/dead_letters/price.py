"""What the calls of a replay would cost, before they are made."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from llm_worker.domain.errors import NoTargetError, UnknownModelError
from llm_worker.domain.estimate import most_usage
from llm_worker.domain.judging import expected_usage
from llm_worker.domain.outcome import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_worker.application.routes import Routes
    from llm_worker.domain.outcome import Target
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Who would be asked first, and what one call costs in USD: about, and at most.

    Without `target` nobody here takes the request; None is an unknown price.
    """

    target: Target | None = None
    about_usd: Decimal | None = None
    most_usd: Decimal | None = None


@dataclass(slots=True, kw_only=True)
class PricedCalls:
    """The calls to one target; a sum is None as soon as one price is unknown."""

    target: Target | None
    requests: int = 0
    about_usd: Decimal | None = Decimal(0)
    most_usd: Decimal | None = Decimal(0)

    def add(self, price: Price) -> None:
        """Count one."""
        self.requests += 1
        self.about_usd = _sum(self.about_usd, price.about_usd)
        self.most_usd = _sum(self.most_usd, price.most_usd)


def price_of(request: ComparisonRequest, routes: Routes | None) -> Price:
    """Price one call to the first target; nobody is called. Without routes it is unknown."""
    if routes is None:
        return Price()
    try:
        route = routes.route_of(
            request.asked, lane=request.delivery.lane, prompt_bytes=request.prompt.size_bytes
        )
    except (NoTargetError, UnknownModelError):
        return Price()
    target = route.targets[0]
    attempt = Attempt(
        attempt_id=request.request_id, number=1, target=target, started_at=request.requested_at
    )

    def cost_usd(usage: Usage) -> Decimal | None:
        return routes.providers[target.provider].models.cost_usd(target.model, usage)

    return Price(
        target=target,
        about_usd=cost_usd(expected_usage(request.prompt.size_bytes)),
        most_usd=cost_usd(most_usage(request, attempt)),
    )


def add_up(prices: Iterable[Price]) -> list[PricedCalls]:
    """Add prices up by target, in the order of their names."""
    found: dict[Target | None, PricedCalls] = {}
    for price in prices:
        found.setdefault(price.target, PricedCalls(target=price.target)).add(price)
    return sorted(
        found.values(),
        key=lambda calls: (calls.target.provider, calls.target.model) if calls.target else ("", ""),
    )


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other
