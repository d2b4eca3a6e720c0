"""Verdicts that were bought before: what is remembered of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.verdict import Completion


class CacheTier(StrEnum):
    """Where a verdict was found."""

    LOCAL = "local"
    REDIS = "redis"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedVerdict:
    """A verdict with who gave it, who paid for it and when.

    `bought_by` is the correlation id of the request that paid.
    """

    provider: ProviderName
    completion: Completion
    bought_by: UUID
    organization_id: str | None
    bought_at: datetime

    @property
    def saved_usd(self) -> Decimal:
        """What an answer from here does not spend; 0 where the price was not known."""
        return self.completion.billing.cost_usd or Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheHit:
    """A verdict from the cache, or from a purchase under way for the same question."""

    verdict: CachedVerdict
    tier: CacheTier
