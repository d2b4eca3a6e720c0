"""`llm-worker submit`: many comparisons from a file, resumable."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
import orjson

from llm_worker.cli.app import FAILED, err
from llm_worker.cli.connection import connect
from llm_worker.cli.progress import ComparisonProgress
from llm_worker.cli.request_file import read_lines, rewindable
from llm_worker.cli.wording import Tally, one_line
from llm_worker.client.journal import Journal
from llm_worker.client.submission import Submission
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane, TopicName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.cli.request_file import RequestLine
    from llm_worker.client.comparison import ComparisonClient
    from llm_worker.contracts.topics import TopicCatalog

_ENVELOPE_BYTES = 2_048
"""Room for the envelope, the headers and the batch around a request."""


@click.command()
@click.argument("source", type=click.File("rb"), metavar="FILE.jsonl")
@click.option("--wait", is_flag=True, help="Wait for the results and print them.")
@click.option(
    "--out",
    "out_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Wait, and append the results to this file; skip what it answers already.",
)
@click.option(
    "--lane",
    type=click.Choice([lane.value for lane in Lane]),
    default=Lane.NORMAL.value,
    show_default=True,
    help="Which queue to stand in.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="JSON on stdout: the results, else the totals."
)
def submit(
    *, source: IO[bytes], wait: bool, out_path: Path | None, lane: str, as_json: bool
) -> None:
    """Send many requests: one LLMComparisonRequestV1 a line, `-` for standard input.

    All lines are checked before the first is sent. A line's event id follows from its number and
    content, so the same file can be submitted again; with --out, a stopped command goes on where
    it was. Exits with 1 if any request failed.
    """
    client, topics = connect()
    with rewindable(source) as requests:
        batch = _Batch(source=requests, lane=Lane(lane), topics=topics)
        batch.check(waits=wait or out_path is not None)
        try:
            if wait or out_path:
                # A file of something else is refused before anything is connected.
                with Journal(out_path) if out_path else nullcontext() as journal:
                    asyncio.run(_collect(client, batch, journal=journal, as_json=as_json))
                _summarise(batch, as_json=as_json and out_path is not None)
            else:
                asyncio.run(_publish(client, batch, as_json=as_json))
        except KeyboardInterrupt:
            err.print("stopped; the same command again goes on")
            raise SystemExit(FAILED) from None
    if batch.tally.failed:
        raise SystemExit(FAILED)


@dataclass(slots=True, kw_only=True)
class _Batch:
    """The requests of a file."""

    source: IO[bytes]
    lane: Lane
    topics: TopicCatalog
    total: int = 0
    tally: Tally = field(default_factory=Tally)

    def check(self, *, waits: bool) -> None:
        """Read and count all requests once. Raises UsageError for a bad line."""
        for line in self._lines():
            self.total += 1
            if waits and line.request.callback_topic is not None:
                raise click.UsageError(
                    f"line {line.number}: callback_topic: results are awaited on "
                    f"{self.topics.on_broker(TopicName.COMPARISON_RESULT)}; "
                    "leave it out, or submit without --wait and --out"
                )

    def submissions(self) -> Iterator[Submission]:
        """Give the requests, read again from the file and not kept."""
        for line in self._lines():
            yield Submission(request=line.request, event_id=line.event_id, lane=self.lane)

    def _lines(self) -> Iterator[RequestLine]:
        limit = self.topics[REQUEST_TOPICS[self.lane]].max_message_bytes
        return read_lines(self.source, max_bytes=limit - _ENVELOPE_BYTES)


async def _publish(client: ComparisonClient, batch: _Batch, *, as_json: bool) -> None:
    async with client:
        sent = await client.publish(batch.submissions())
    if as_json:
        click.echo(orjson.dumps({"sent": sent}))
    err.print(f"sent {sent} requests; see their results with `llm-worker tail comparison_result`")


async def _collect(
    client: ComparisonClient, batch: _Batch, *, journal: Journal | None, as_json: bool
) -> None:
    progress = ComparisonProgress(batch.tally, total=batch.total, beside_data=journal is None)
    arriving = client.submit_many(batch.submissions(), journal=journal)
    with progress:
        async with client, aclosing(arriving) as results:
            async for result in results:
                if journal is None:
                    click.echo(result.model_dump_json() if as_json else one_line(result))
                batch.tally.add(result)
                progress.update()


def _summarise(batch: _Batch, *, as_json: bool) -> None:
    tally = batch.tally
    if as_json:
        click.echo(orjson.dumps(tally.as_json()))
    failures = f" ({tally.failures()})" if tally.failed else ""
    err.print(
        f"{tally.done} done, {tally.failed} failed{failures}, {tally.cached} cached, {tally.cost()}"
    )
