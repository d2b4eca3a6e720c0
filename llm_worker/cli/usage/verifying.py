"""Totals against their events, for `usage --verify`."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click
from rich.markup import escape
from rich.progress import Progress, TextColumn

from llm_worker.application.verifying import verify
from llm_worker.cli.app import err
from llm_worker.cli.tables import folded, new_table, numbers, print_table
from llm_worker.cli.usage.listing import scope_in_words
from llm_worker.cli.wording import plain_usd
from llm_worker.domain.spend import begins_after, day_of
from llm_worker.domain.usage import in_numbers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

    from llm_worker.adapters.kafka.spend_codec import SpendCodec
    from llm_worker.bootstrap.spend.reading import TopicHistory
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey, Source
    from llm_worker.domain.verification import Drift

_AMOUNTS: Final = (
    "requests",
    "failures",
    "cache_hits",
    "unknown_costs",
    "cost_usd",
    "savings_usd",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What has come of it; `unchecked` totals have events that are no longer kept."""

    totals: int
    unchecked: int
    drifts: Sequence[Drift]


async def check_totals(history: TopicHistory, codec: SpendCodec, *, horizon_ms: int) -> Findings:
    """Compare every total with its events; a line on stderr says how far it is.

    Raises:
        ClientError: Kafka cannot be read.
    """
    columns = (TextColumn("{task.completed} events read"),)
    with Progress(*columns, console=err, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task("", total=None)
        watched = _Watched(history, codec, lambda: progress.advance(task))
        drifts = await verify(watched, codec, horizon_ms=horizon_ms)
    return Findings(totals=len(watched.totals), unchecked=watched.unchecked(), drifts=drifts)


@dataclass(slots=True)
class _Watched:
    """The topics as they are read: what they hold, and where the events of each begin."""

    history: TopicHistory
    codec: SpendCodec
    on_event: Callable[[], None]
    totals: Mapping[AccountKey, Account] = field(default_factory=dict)
    _first: dict[Source, PlacedRecord] = field(default_factory=dict)

    async def accounts(self) -> Mapping[AccountKey, Account]:
        self.totals = await self.history.accounts()
        return self.totals

    async def events(self) -> AsyncGenerator[PlacedRecord]:
        async with aclosing(self.history.events()) as records:
            async for record in records:
                self._first.setdefault(self.codec.source(record), record)
                self.on_event()
                yield record

    def unchecked(self) -> int:
        """Count the totals of days and months whose first events are gone."""
        return sum(not self._is_whole(key) for key in self.totals)

    def _is_whole(self, key: AccountKey) -> bool:
        first = self._first.get(key.source)
        if first is None:
            return False
        day = day_of(datetime.fromtimestamp(first.at_ms / 1000, UTC))
        return first.offset == 0 or begins_after(key.period, day)


def show_findings(found: Findings) -> None:
    """Print what differs, or that nothing does."""
    if found.unchecked:
        err.print(
            f"{found.unchecked} of {found.totals} totals are not checked: their first events are "
            "no longer on their topic",
            soft_wrap=True,
        )
    if not found.drifts:
        click.echo(f"{found.totals - found.unchecked} totals agree with their events")
        return
    table = new_table(
        *folded("total of", "period", "source", "amount"), *numbers("published", "recomputed")
    )
    for drift in found.drifts:
        scope, period, source = drift.key
        for amount, published, recomputed in _differences(drift):
            where = f"{source.topic}/{source.partition}"
            who = escape(scope_in_words(scope))
            table.add_row(who, period, where, escape(amount), published, recomputed)
    print_table(table, crop=False)
    err.print(f"{len(found.drifts)} of {found.totals} totals differ from their events")


def findings_as_json(found: Findings) -> dict[str, Any]:
    """Give it to a program; money as decimal text."""
    return {
        "totals": found.totals,
        "unchecked": found.unchecked,
        "drifts": [
            {
                "scope": drift.key.scope._asdict(),
                "period": drift.key.period,
                "source": drift.key.source.topic,
                "partition": drift.key.source.partition,
                "published": in_numbers(drift.published),
                "recomputed": in_numbers(drift.recomputed),
            }
            for drift in found.drifts
        ],
    }


def _differences(drift: Drift) -> Iterator[tuple[str, str, str]]:
    one, other = drift.published, drift.recomputed
    for amount in _AMOUNTS:
        published, recomputed = getattr(one, amount), getattr(other, amount)
        if published != recomputed:
            yield amount.replace("_", " "), _text(published), _text(recomputed)
    for kind in sorted(one.tokens.keys() | other.tokens.keys()):
        counted, recounted = one.tokens.get(kind, 0), other.tokens.get(kind, 0)
        if counted != recounted:
            yield kind.replace("_", " "), str(counted), str(recounted)


def _text(amount: int | Decimal) -> str:
    return plain_usd(amount) if isinstance(amount, Decimal) else str(amount)
