"""`llm-worker contract`: what a neighbour writes and reads, held to the contract."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from llm_worker import bootstrap
from llm_worker.adapters.kafka.topic_state import Presence
from llm_worker.cli.app import FAILED, err, json_option, print_json
from llm_worker.cli.connection import prepare_for_kafka
from llm_worker.cli.contract.checking import ReadTopic, Report, check_file, check_topics
from llm_worker.cli.tables import new_table, print_table, whole
from llm_worker.contracts.documents.examples import ORIGINAL, load_examples
from llm_worker.contracts.documents.schemas import EVENTS
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.printable import printable

if TYPE_CHECKING:
    from typing import IO

    from rich.table import Table

_DEFAULT_TOPICS = (
    TopicName.COMPARISON_REQUESTED,
    TopicName.COMPARISON_REQUESTED_BULK,
    TopicName.COMPARISON_RESULT,
)


@click.group()
def contract() -> None:
    """Hold records to the contract; print golden records to test with."""


@contract.command()
@click.argument("topics", nargs=-1, metavar="[TOPIC]...")
@click.option(
    "--records", type=click.IntRange(min=0), default=100, show_default=True, metavar="N",
    help="Read the newest N records of each topic.",
)  # fmt: skip
@click.option(
    "--file", type=click.File("rb"), metavar="FILE",
    help="Check records from JSON Lines instead (- is stdin); needs no broker.",
)  # fmt: skip
@json_option
def verify(*, topics: tuple[str, ...], records: int, file: IO[bytes] | None, as_json: bool) -> None:
    """Check topics, and the newest records on them; exits 1 with faults.

    TOPIC is a name of topics.yaml, or of the broker, as a reply topic of your own (default: the
    request and the result topics). Each record is held to its envelope, event, key and headers;
    a fault names the field, never what is in it.
    """
    if file is not None and topics:
        raise click.UsageError("--file reads no topics: leave TOPIC out")
    settings = bootstrap.load_settings()
    catalog = bootstrap.catalog(settings)
    if file is not None:
        report = check_file(file, catalog)
    else:
        prepare_for_kafka()
        names = topics or tuple(name.value for name in _DEFAULT_TOPICS)
        options = bootstrap.kafka_options(settings)
        report = asyncio.run(check_topics(options, catalog, names, at_most=records))
    if as_json:
        print_json(asdict(report))
    else:
        _show(report)
    if report.faults or any(topic.differences for topic in report.topics):
        raise SystemExit(FAILED)


@contract.command()
@click.option(
    "--event", type=click.Choice([*EVENTS, ORIGINAL]), metavar="NAME",
    help=f"Only those of this event; {ORIGINAL} is a dead letter.",
)  # fmt: skip
def examples(*, event: str | None) -> None:
    """Print golden records, one a line, as `contract verify --file` reads them."""
    for example in load_examples():
        if event in (None, example.event):
            click.echo(json.dumps(example.document, ensure_ascii=False))


def _show(report: Report) -> None:
    if report.topics:
        print_table(_table(report))
    for topic in report.topics:
        for words in topic.differences:
            click.echo(f"{topic.topic}: {words}")
        for words in topic.unchecked:
            click.echo(f"{topic.topic}: not checked: {words}", err=True)
    for fault in report.faults:
        remedy = fault.remedy[0].upper() + fault.remedy[1:]
        words = f"{fault.place}  {fault.field}: {fault.problem}. {remedy}"
        click.echo(printable(words))
    faulty = len({fault.place for fault in report.faults})
    err.print(f"{report.records} records checked, {faulty} with faults")


def _table(report: Report) -> Table:
    table = new_table(*whole("topic", "partitions", "records", "faults"))
    for topic in report.topics:
        table.add_row(*_row(topic, sum(fault.topic == topic.topic for fault in report.faults)))
    return table


def _row(topic: ReadTopic, faults: int) -> tuple[str, ...]:
    partitions = "-" if topic.partitions is None else str(topic.partitions)
    state = "[red]missing[/]" if topic.presence is Presence.MISSING else str(topic.records)
    verdict = f"[red]{faults}[/]" if faults else "[green]0[/]"
    return escape(topic.topic), partitions, state, verdict
