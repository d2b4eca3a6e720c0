"""`llm-worker usage`: what was spent, by whom; and whether the totals are right."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from typing import TYPE_CHECKING, Final

import click

from llm_worker import bootstrap
from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.bootstrap.runtime.budgets import budgets_of
from llm_worker.bootstrap.spend.lag import measure_lag
from llm_worker.bootstrap.spend.reading import history_of
from llm_worker.cli.app import FAILED, json_option, print_json, say
from llm_worker.cli.connection import prepare_for_kafka
from llm_worker.cli.control_topic import ControlTopic
from llm_worker.cli.usage.listing import show_usage, usage_as_json, usage_of
from llm_worker.cli.usage.verifying import check_totals, findings_as_json, show_findings
from llm_worker.domain.spend import day_of, month_of
from llm_worker.domain.usage import Dimension

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from llm_worker.bootstrap import Settings
    from llm_worker.cli.usage.listing import Usage
    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey

_DEFAULT_BY: Final = (Dimension.PROVIDER, Dimension.MODEL)
_TODAY, _MONTH = "today", "month"
_NOTHING_YET: Final = "nothing was added up yet: that is what `llm-worker accountant` does, run it"


def _dimensions(
    _ctx: click.Context, _option: click.Parameter, value: str | None
) -> tuple[Dimension, ...] | None:
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    if len(set(names)) < len(names) or not set(names) <= {*Dimension}:
        raise click.BadParameter(
            f"{value!r} is not some of {', '.join(Dimension)}, each once, with commas between"
        )
    return tuple(map(Dimension, names))


def _periods(
    _ctx: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if value not in {_TODAY, _MONTH} and not _is_period(value):
            raise click.BadParameter(
                f"{value!r} is none of today, month, a day like 2026-11-23, a month like 2026-11"
            )
    return values


def _is_period(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?", text):
        return False
    try:
        date.fromisoformat(text if len(text) > len("2026-11") else f"{text}-01")
    except ValueError:
        return False
    return True


@click.command()
@click.option(
    "--by",
    callback=_dimensions,
    metavar="NAMES",
    help="Some of provider, model, organization, lane, with commas between.  "
    "[default: provider,model]",
)
@click.option(
    "--period",
    "periods",
    multiple=True,
    callback=_periods,
    metavar="PERIOD",
    help="today, month, a day (2026-11-23) or a month (2026-11), all UTC; may be given again.  "
    "[default: today and month]",
)
@click.option("--verify", is_flag=True, help="Compare every total with its events instead.")
@json_option
def usage(
    *, by: tuple[Dimension, ...] | None, periods: tuple[str, ...], verify: bool, as_json: bool
) -> None:
    """Show what was spent, as the accountant has added it up, and what is left of the limits.

    Costs are those that are known; whatever is unknown is said beside them. Limits are those that
    hold now, with the changes of `llm-worker config`.

    With --verify everything is added up again from the events, as far back as they are kept; exits
    1 if a total differs.
    """
    if verify and (by or periods):
        raise click.UsageError("--verify checks every total: leave --by and --period out")
    settings = bootstrap.load_settings()
    prepare_for_kafka()
    if verify:
        _verify(settings, as_json=as_json)
        return
    now = SystemClock().now()
    asked = dict.fromkeys(_named(each, now) for each in periods or (_TODAY, _MONTH))
    found = asyncio.run(_read(settings, now, tuple(asked), by or _DEFAULT_BY))
    if as_json:
        print_json(usage_as_json(found))
    elif found.has_totals:
        show_usage(found)


def _named(period: str, now: datetime) -> str:
    today = day_of(now)
    return {_TODAY: today, _MONTH: month_of(today)}.get(period, period)


async def _read(
    settings: Settings, now: datetime, periods: tuple[str, ...], by: tuple[Dimension, ...]
) -> Usage:
    accounts = await _accounts(settings, now, periods)
    if accounts:
        lag = await measure_lag(bootstrap.kafka_options(settings), bootstrap.catalog(settings))
        _say(lag.complaint())
    else:
        _say(_NOTHING_YET)
    in_force = await ControlTopic(settings).read()
    return usage_of(accounts, periods, by, budgets_of(in_force.settings.budget))


async def _accounts(
    settings: Settings, now: datetime, periods: tuple[str, ...]
) -> Mapping[AccountKey, Account]:
    """Read what is recent, and the rest of the topic only where an earlier month is asked for."""
    history = history_of(settings)
    recent = await history.recent_accounts(now)
    earlier = {month for month in map(month_of, periods) if month < recent.since}
    if not earlier:
        return recent.accounts
    return {**recent.accounts, **await history.accounts(earlier)}


def _verify(settings: Settings, *, as_json: bool) -> None:
    codec, history = SpendCodec(bootstrap.catalog(settings)), history_of(settings)
    found = asyncio.run(check_totals(history, codec, horizon_ms=history.horizon_ms))
    if as_json:
        print_json(findings_as_json(found))
    elif found.totals:
        show_findings(found)
    if not found.totals:
        _say(_NOTHING_YET)
    if found.drifts:
        raise SystemExit(FAILED)


def _say(words: str | None) -> None:
    if words is not None:
        say(words)
