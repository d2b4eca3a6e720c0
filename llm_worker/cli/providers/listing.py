"""Providers and models as tables for people, and as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from llm_worker.cli.app import out
from llm_worker.cli.tables import folded, new_table, print_table, whole
from llm_worker.cli.wording import plain_usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from rich.table import Table

    from llm_worker.adapters.providers.catalog import ModelRow
    from llm_worker.bootstrap import Settings
    from llm_worker.cli.providers.state import ProviderState
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.routing import Place

    ModelsByProvider = Mapping[ProviderName, Sequence[ModelRow]]

_PRICES: Final = ("USD/Mtok in", "out")


def show_states(
    states: Sequence[ProviderState], settings: Settings, route: Iterable[Place]
) -> None:
    """Print the providers, the default route, and what would make the others usable."""
    print_table(_who_table(states))
    out.print()
    print_table(_limits_table(states))
    targets = ", then ".join(map(_in_words, route)) or "none while there are faults"
    rules = settings.routing.rules
    first = f", after the {len(rules)} of LLM_WORKER_ROUTING__RULES" if rules else ""
    out.print(
        f"\ndefault route: {settings.routing.strategy}: {escape(targets)}{first}", soft_wrap=True
    )
    for state in states:
        if state.remedy is not None:
            out.print(f"to use {state.name}: {escape(state.remedy)}", soft_wrap=True)


def show_models(models: ModelsByProvider) -> None:
    """Print the models with their prices."""
    table = _table("model", *_PRICES, "cache read", "cache write", "")
    for name, rows in models.items():
        for row in rows:
            # A cache without a price of its own is billed as input.
            cache = "unknown" if row.input_usd is None else "as input"
            table.add_row(
                name,
                escape(row.model),
                _price(row.input_usd),
                _price(row.output_usd),
                _price(row.cache_read_usd, cache),
                _price(row.cache_write_usd, cache),
                ", ".join(["default"] * row.is_default + ["deprecated"] * row.is_deprecated),
            )
    print_table(table)


def states_as_json(
    states: Iterable[ProviderState], settings: Settings, route: Iterable[Place]
) -> dict[str, Any]:
    """Give a program the providers and the routing."""
    return {
        "strategy": settings.routing.strategy,
        "default_route": list(map(_in_words, route)) or None,
        "rules": len(settings.routing.rules),
        "providers": list(map(_state_as_json, states)),
    }


def models_as_json(models: ModelsByProvider) -> list[dict[str, Any]]:
    """Give a program the models; what is unknown is null."""
    return [
        {
            "provider": name,
            "model": row.model,
            "input_usd_per_mtok": _money(row.input_usd),
            "output_usd_per_mtok": _money(row.output_usd),
            "cache_read_usd_per_mtok": _money(row.cache_read_usd),
            "cache_write_usd_per_mtok": _money(row.cache_write_usd),
            "default": row.is_default,
            "deprecated": row.is_deprecated,
        }
        for name, rows in models.items()
        for row in rows
    ]


def _who_table(states: Iterable[ProviderState]) -> Table:
    table = _table("default model", *_PRICES, "state", "route")
    for state in states:
        table.add_row(
            state.name,
            escape(state.default_model or "-"),
            _price(state.input_usd) if state.default_model else "-",
            _price(state.output_usd) if state.default_model else "-",
            state.in_a_word,
            ", ".join(map(str, state.places)) or "-",
        )
    return table


def _limits_table(states: Iterable[ProviderState]) -> Table:
    table = _table(None, "at once", "requests/min", "tokens/min", "timeout", "priority", "weight")
    for state in states:
        limits = state.limits
        table.add_row(
            state.name,
            str(limits.max_in_flight),
            str(limits.requests_per_minute or "-"),
            str(limits.tokens_per_minute or "-"),
            f"{state.timeout_s:g} s",
            str(state.priority),
            f"{state.weight:g}",
        )
    return table


def _table(model: str | None, *columns: str) -> Table:
    models = () if model is None else (model,)
    return new_table(*whole("provider"), *folded(*models), *whole(*columns))


def _price(usd: Decimal | None, unknown: str = "unknown") -> str:
    return unknown if usd is None else plain_usd(usd)


def _money(usd: Decimal | None) -> str | None:
    return None if usd is None else plain_usd(usd)


def _in_words(place: Place) -> str:
    return place.provider if place.model is None else f"{place.provider}/{place.model}"


def _state_as_json(state: ProviderState) -> dict[str, Any]:
    return {
        "name": state.name,
        "enabled": state.is_enabled,
        "configured": state.is_configured,
        "remedy": state.remedy,
        "default_model": state.default_model,
        "input_usd_per_mtok": _money(state.input_usd),
        "output_usd_per_mtok": _money(state.output_usd),
        "places": state.places,
        "priority": state.priority,
        "weight": state.weight,
        "max_in_flight": state.limits.max_in_flight,
        "requests_per_minute": state.limits.requests_per_minute,
        "tokens_per_minute": state.limits.tokens_per_minute,
        "timeout_s": state.timeout_s,
    }
