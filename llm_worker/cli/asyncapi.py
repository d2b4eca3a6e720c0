"""`llm-worker asyncapi`: the AsyncAPI document, generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llm_worker.contracts.documents.asyncapi import asyncapi_text

if TYPE_CHECKING:
    from typing import IO


@click.command()
@click.option(
    "--out", type=click.File("w", encoding="utf-8"), default="-", metavar="FILE",
    help="Write it there; without it, to stdout.",
)  # fmt: skip
def asyncapi(*, out: IO[str]) -> None:
    """Print the AsyncAPI 3.0 document: every topic, record and operation, as YAML."""
    out.write(asyncapi_text())
