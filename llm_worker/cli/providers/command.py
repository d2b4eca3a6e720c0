"""`llm-worker providers`: who may judge, with which models, at what price; and does it work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from llm_worker import bootstrap
from llm_worker.adapters.clock import SystemClock
from llm_worker.application.trial import try_out
from llm_worker.bootstrap.providers.configured import build_provider, is_configured
from llm_worker.bootstrap.providers.routing import lacking
from llm_worker.cli.app import FAILED, err, json_option, print_json
from llm_worker.cli.providers.listing import (
    models_as_json,
    show_models,
    show_states,
    states_as_json,
)
from llm_worker.cli.providers.state import (
    default_route,
    model_rows,
    settings_and_faults,
    state_of,
)
from llm_worker.cli.providers.trial import trial_as_json, trial_in_words
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import ProviderError

if TYPE_CHECKING:
    from llm_worker.application.ports import Provider
    from llm_worker.domain.outcome import FinishedAttempt

_NAMES = click.Choice([name.value for name in ProviderName])


@click.group()
def providers() -> None:
    """Show the providers, their models and prices; test one."""


@providers.command("list")
@click.option("--models", "with_models", is_flag=True, help="List the models that are known.")
@click.option("--provider", "only", type=_NAMES, help="Only this one.")
@json_option
def list_providers(*, with_models: bool, only: str | None, as_json: bool) -> None:
    """Show what the settings make of each provider; asks neither broker nor provider.

    Prices are USD per million tokens of a prompt of common length. A limit of - a minute is taken
    from the provider's own answers. What would keep a worker from starting is told on stderr.
    """
    clock = SystemClock()
    settings, faults = settings_and_faults(clock)
    for fault in faults:
        err.print(f"[red]fault[/] {escape(fault)}", soft_wrap=True)
    names = [ProviderName(only)] if only else list(ProviderName)
    if with_models:
        models = {name: model_rows(settings, name, clock) for name in names}
        if as_json:
            print_json(models_as_json(models))
        else:
            show_models(models)
        return
    route = default_route(settings, faults)
    states = [state_of(settings, name, route, clock) for name in names]
    if as_json:
        print_json(states_as_json(states, settings, route))
    else:
        show_states(states, settings, route)


@providers.command("test")
@click.argument("name", type=_NAMES)
@click.option("--model", help="Another model than its default.")
@json_option
def test_provider(*, name: str, model: str | None, as_json: bool) -> None:
    """Ask a provider for one verdict on two tiny essays.

    A real call, without Kafka. It spends money: a fraction of a cent, with an expensive model a
    few cents. Exits 1 if there is no verdict.
    """
    settings, provider_name = bootstrap.load_settings(), ProviderName(name)
    if not is_configured(settings, provider_name):
        remedy = lacking(settings, provider_name)
        raise bootstrap.SettingsError(f"provider {name} is not configured: {remedy}")
    trial = asyncio.run(_trial(build_provider(settings, provider_name, SystemClock()), model))
    failed = isinstance(trial.ending, ProviderError)
    if as_json:
        print_json(trial_as_json(trial))
    else:
        click.echo(trial_in_words(trial), err=failed)
    if failed:
        raise SystemExit(FAILED)


async def _trial(provider: Provider, model: str | None) -> FinishedAttempt:
    if model and not provider.models.knows(model):
        nearest = ", ".join(provider.models.nearest(model)) or "none is like it"
        err.print(
            f"[yellow]warning[/] {escape(model)} is no model of {provider.name} that we know: "
            f"requests for it are refused. Nearest: {escape(nearest)}. If it is new, add it to "
            f"LLM_WORKER_PROVIDERS__{provider.name.upper()}__MODELS",
            soft_wrap=True,
        )
    try:
        return await try_out(provider, SystemClock(), model=model)
    finally:
        await provider.aclose()
