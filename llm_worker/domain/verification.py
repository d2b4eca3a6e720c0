"""Verification: the published totals against those of the events themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llm_worker.domain.journal import Journal, Placed
from llm_worker.domain.ledger import NEVER, Account, Ledger
from llm_worker.domain.spend import begins_after, day_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llm_worker.domain.spend import AccountKey, Entry, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """An account that is not what its events add up to."""

    key: AccountKey
    published: Account
    recomputed: Account


class Recomputation:
    """Adds the events of every source partition up again, as far as the published totals go.

    Args:
        published: What is to be verified.
        horizon_ms: As the accountant has it.
    """

    def __init__(self, published: Mapping[AccountKey, Account], *, horizon_ms: int) -> None:
        self._published = published
        self._horizon_ms = horizon_ms
        self._ledger = Ledger({})
        self._journals: dict[Source, Journal] = {}
        self._first_days: dict[Source, str] = {}
        self._last: dict[Source, int] = {}
        for key, account in published.items():
            last = self._last.get(key.source, NEVER)
            self._last[key.source] = max(last, account.last_offset)

    def is_wanted(self, source: Source, offset: int) -> bool:
        """Say whether a record is included in the published totals."""
        return offset <= self._last.get(source, NEVER)

    def add(self, source: Source, offset: int, at_ms: int, entry: Entry) -> None:
        """Add the next event of a source partition."""
        if source not in self._journals:
            self._journals[source] = Journal(self._horizon_ms)
            if offset:
                # What lay before it is gone: a part of its day, or of the one it was written on.
                self._first_days[source] = max(entry.day, _day_at(at_ms))
        placed = Placed(offset=offset, at_ms=at_ms, entry=entry)
        self._ledger.post_once(self._journals[source], source, placed)

    def drifts(self) -> Iterator[Drift]:
        """Give what differs, of the days and months whose events are all there."""
        recomputed = dict(self._ledger)
        for key in {**self._published, **recomputed}:
            if not self._is_complete(key):
                continue
            told = self._published.get(key, Account())
            found = recomputed.get(key, Account())
            if not _agree(told, found):
                yield Drift(key=key, published=told, recomputed=found)

    def _is_complete(self, key: AccountKey) -> bool:
        if key.source not in self._journals:
            return False  # all of its events are gone
        first_day = self._first_days.get(key.source)
        return first_day is None or begins_after(key.period, first_day)


def _day_at(at_ms: int) -> str:
    return day_of(datetime.fromtimestamp(at_ms / 1000, UTC))


def _agree(one: Account, other: Account) -> bool:
    return _amounts(one) == _amounts(other)


def _amounts(account: Account) -> tuple[object, ...]:
    tokens = {kind: count for kind, count in account.tokens.items() if count}
    counts = (account.requests, account.failures, account.cache_hits, account.unknown_costs)
    return (*counts, tokens, account.cost_usd, account.savings_usd)
