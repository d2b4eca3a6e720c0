"""`llm-worker topics`: topics.yaml, and the cluster beside it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from llm_worker import bootstrap
from llm_worker.adapters.kafka.topic_state import Presence, TopicState
from llm_worker.adapters.kafka.topics import compare_topics, create_topics
from llm_worker.cli.app import FAILED, err, json_option, print_json
from llm_worker.cli.tables import folded, new_table, print_table, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from llm_worker.contracts.topics import TopicCatalog


@click.group()
def topics() -> None:
    """Compare topics.yaml with the cluster; create topics."""


@topics.command("list")
@json_option
def list_topics(*, as_json: bool) -> None:
    """Show what topics.yaml says, with the configured prefix; asks no broker."""
    catalog = bootstrap.catalog(bootstrap.load_settings())
    if as_json:
        print_json(
            [
                {"name": name.value, "topic": catalog.on_broker(name)}
                | topic.model_dump(mode="json", exclude={"name"})
                for name, topic in catalog.topics.items()
            ]
        )
    else:
        print_table(_catalog_table(catalog), crop=False)


@topics.command()
@click.option(
    "--replication",
    type=click.IntRange(min=1),
    metavar="N",
    help="Copies of each record; without it the broker's default.",
)
@click.option("--dry-run", is_flag=True, help="Only say which topics would be created.")
@json_option
def create(*, replication: int | None, dry_run: bool, as_json: bool) -> None:
    """Create the topics that the cluster lacks; those that exist are left as they are."""
    settings = bootstrap.load_settings()
    options, catalog = bootstrap.kafka_options(settings), bootstrap.catalog(settings)
    if dry_run:
        states = asyncio.run(compare_topics(options, catalog))
        names = [state.topic for state in states if state.presence is Presence.MISSING]
    else:
        names = asyncio.run(create_topics(options, catalog, replication_factor=replication or -1))
    if as_json:
        print_json(names)
        return
    for name in names:
        click.echo(name)
    err.print(f"{'would create' if dry_run else 'created'} {len(names)} of {len(catalog.topics)}")


@topics.command()
@json_option
def check(*, as_json: bool) -> None:
    """Compare the cluster with topics.yaml; exits 1 if they differ.

    Says of each topic whether it exists, has enough partitions, keeps records as long and as
    large as it should, and whether the broker lets us describe it.
    """
    settings = bootstrap.load_settings()
    states = asyncio.run(
        compare_topics(bootstrap.kafka_options(settings), bootstrap.catalog(settings))
    )
    if as_json:
        print_json([_as_json(state) for state in states])
    else:
        _show(states)
    if any(state.differences for state in states):
        raise SystemExit(FAILED)


def _show(states: Sequence[TopicState]) -> None:
    print_table(_state_table(states), crop=False)
    for state in states:
        for words in state.differences:
            click.echo(f"{state.name}: {words}")
        for words in state.unchecked:
            click.echo(f"{state.name}: not checked: {words}", err=True)


def _catalog_table(catalog: TopicCatalog) -> Table:
    table = _table("partitions", "kept", "cleanup")
    for name, topic in catalog.topics.items():
        where, partitions = escape(catalog.on_broker(name)), str(topic.partitions)
        table.add_row(name, where, partitions, _duration(topic.retention_ms), topic.cleanup)
    return table


def _state_table(states: Sequence[TopicState]) -> Table:
    table = _table("partitions", "state")
    for state in states:
        found = "-" if state.partitions_found is None else state.partitions_found
        verdict = "[red]differs[/]" if state.differences else "[green]ok[/]"
        partitions = f"{found} of {state.partitions_wanted}"
        table.add_row(state.name, escape(state.topic), partitions, verdict)
    return table


def _table(*further_columns: str) -> Table:
    return new_table(*whole("name"), *folded("topic"), *whole(*further_columns))


def _duration(retention_ms: int) -> str:
    return "for ever" if retention_ms < 0 else f"{retention_ms / 86_400_000:g} days"


def _as_json(state: TopicState) -> dict[str, object]:
    rights = state.rights
    told = None if rights is None else sorted(right.name.lower() for right in rights)
    return asdict(state) | {"rights": told}
