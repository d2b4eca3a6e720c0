"""The settings of budgets: what may be spent, by whom, and what happens at the limit."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.budgets import EVERY_OTHER, WhenOver
from llm_worker.settings.kinds import (
    CommaSeparated,
    EmptyIsNone,
    Group,
    JsonObjectText,
    LowerCase,
    PlainDecimal,
)

_MOST_USD: Final = 1_000_000_000
_Usd = Annotated[
    Annotated[PlainDecimal, Field(ge=0, le=_MOST_USD)] | None,
    EmptyIsNone,
]
_Share = Annotated[PlainDecimal, Field(gt=0, le=10)]


class AllowanceSettings(Group):
    """What one organisation or provider may spend, as JSON or as a TOML table."""

    daily_usd: _Usd = None
    monthly_usd: _Usd = None
    hard: bool | None = None
    alert_shares: Annotated[tuple[_Share, ...] | None, CommaSeparated] = None


def _named(allowances: dict[str, AllowanceSettings]) -> dict[str, AllowanceSettings]:
    if "" in allowances:
        raise ValueError(f"has an empty name: name an organisation, or {EVERY_OTHER} for each")
    return allowances


def _of_known(allowances: dict[str, AllowanceSettings]) -> dict[str, AllowanceSettings]:
    for name in allowances:
        if name not in {*ProviderName, EVERY_OTHER}:
            known = ", ".join((*ProviderName, EVERY_OTHER))
            raise ValueError(f"{name!r} is no provider: use one of {known}")
    return allowances


def _off_or_above_1(factor: Decimal) -> Decimal:
    if 0 < factor <= 1:
        raise ValueError("must be above 1, or 0 for none: every common day would be told")
    return factor


class BudgetSettings(Group):
    """What may be spent, and what happens when it is."""

    daily_usd: _Usd = Field(
        default=None,
        description="Runtime: US dollars that all calls of a day (UTC) may cost together, 0 to "
        "1000000000; none: without limit.",
    )
    monthly_usd: _Usd = Field(
        default=None,
        description="Runtime: US dollars that all calls of a calendar month (UTC) may cost "
        "together, 0 to 1000000000; none: without limit.",
    )
    alert_shares: Annotated[tuple[_Share, ...], CommaSeparated] = Field(
        default=(Decimal("0.5"), Decimal("0.8"), Decimal("1.0")),
        description="Runtime: parts of each limit that raise an alert when they are reached, "
        "comma-separated; each above 0, 10 at most, 1 is all of it; empty: no alerts.",
    )
    hard: bool = Field(
        default=False,
        description="Runtime: true or false; true: nothing is bought beyond a limit; false: only "
        "alerts.",
    )
    organizations: Annotated[
        dict[str, AllowanceSettings], JsonObjectText, AfterValidator(_named)
    ] = Field(
        default={},
        description="Runtime: JSON object: by organisation any of `daily_usd`, `monthly_usd`, "
        "`hard` and `alert_shares`; the last two are the overall ones unless given. `*` stands for "
        "each organisation without an entry of its own.",
    )
    providers: Annotated[
        dict[str, AllowanceSettings], JsonObjectText, AfterValidator(_of_known)
    ] = Field(
        default={},
        description="Runtime: JSON object: by provider (anthropic, openai, google, openrouter, "
        "self_hosted, mock or `*`) any of `daily_usd`, `monthly_usd`, `hard` and `alert_shares`.",
    )
    when_over: Annotated[WhenOver, LowerCase] = Field(
        default=WhenOver.REFUSE,
        description="Runtime: refuse or next_target: what becomes of a request whose target does "
        "not fit into a hard limit.",
    )
    spike_factor: Annotated[PlainDecimal, Field(ge=0), AfterValidator(_off_or_above_1)] = Field(
        default=Decimal(3),
        description="Runtime: a day that has cost this many times the mean of the days with spend "
        "in the week before raises an alert; above 1, or 0: none.",
    )
