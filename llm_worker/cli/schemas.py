"""`llm-worker schemas`: the JSON Schemas and the AsyncAPI document, generated and checked."""

from __future__ import annotations

from pathlib import Path

import click

from llm_worker.cli.app import FAILED, err
from llm_worker.contracts.documents import asyncapi
from llm_worker.contracts.documents import schemas as contracts
from llm_worker.contracts.topics import shipped


@click.group()
def schemas() -> None:
    """Export the events' JSON Schemas, or check them."""


@schemas.command()
@click.argument(
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default="schemas",
    metavar="[DIR]",
)
def export(directory: Path) -> None:
    """Write every event's schema and asyncapi.yaml into DIR (default: schemas); print the files."""
    for file in [*contracts.export(directory), asyncapi.export(directory)]:
        click.echo(file)


@schemas.command()
def check() -> None:
    """Check the shipped schemas and asyncapi.yaml; exits 1 if one is stale or breaks somebody.

    Stale: it is not what the models generate. Breaking: compared with the released schemas, a
    producer or a consumer in the field would fail; that belongs into a new version of the event.
    """
    directory = shipped("schemas")
    findings = contracts.check(directory) + asyncapi.stale(directory)
    for finding in findings:
        click.echo(finding)
    if findings:
        raise SystemExit(FAILED)
    err.print("schemas are current and break nobody")
