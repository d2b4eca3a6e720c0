"""`llm-worker tail`: events as they come."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import orjson

from llm_worker import bootstrap
from llm_worker.cli.connection import follow_topics
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llm_worker.domain.delivery import PlacedRecord

# Listed, so that no event can bring essay or prompt text onto a screen.
_SHOWN = (
    "winner", "confidence", "success", "failure_type", "circuit_breaker_opened", "provider",
    "model", "cached", "cache_tier", "attempt", "attempts", "outcome", "response_time_ms",
    "cost_estimate", "cost_estimate_usd", "cost_usd", "saved_usd", "replicate", "cache_mode",
    "callback_topic", "not_after", "user_id", "organization_id", "setting", "changed_by",
    "alert_type", "current_cost", "threshold", "period", "requests", "failures", "period_start",
    "period_end", "total_requests", "failed_requests", "total_cost",
)  # fmt: skip
_COSTS = {"cost_estimate", "cost_estimate_usd"}


@click.command()
@click.argument(
    "topics", nargs=-1, required=True, type=click.Choice([n.value for n in TopicName]),
    metavar="TOPIC...",
)  # fmt: skip
@click.option("--from-start", is_flag=True, help="Begin with the oldest event that is kept.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as it was published.")
def tail(*, topics: tuple[str, ...], from_start: bool, as_json: bool) -> None:
    """Follow events as they come, by the topics' names in topics.yaml, until Ctrl-C.

    Essays and prompts are left out, unless with --json.
    """
    catalog = bootstrap.catalog(bootstrap.load_settings())
    names = {catalog.on_broker(TopicName(topic)): topic for topic in topics}
    with suppress(KeyboardInterrupt):
        asyncio.run(_follow(names, from_start=from_start, as_json=as_json))


async def _follow(names: dict[str, str], *, from_start: bool, as_json: bool) -> None:
    async with aclosing(follow_topics(names, from_start=from_start)) as records:
        async for record in records:
            if as_json:
                click.echo(as_published(record.value))
                continue
            click.echo(in_words(names[record.topic], record))


def as_published(value: bytes | None) -> str:
    """Put an event on one line; what is not JSON, or too deep, becomes a JSON string."""
    if value is None:
        return "null"
    try:
        return orjson.dumps(orjson.loads(value)).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # it reads deeper than it writes
        return orjson.dumps(value.decode(errors="replace")).decode()


def in_words(topic: str, record: PlacedRecord) -> str:
    """Say in one line what happened, without a word of an essay or a prompt."""
    who = "no key" if record.key is None else record.key.decode(errors="replace")
    if topic == TopicName.DEAD_LETTER:
        said: Iterable[str] = (
            f"{name.removeprefix('dlq.')}={(header or b'').decode(errors='replace')}"
            for name, header in record.headers
            if name.startswith("dlq.")
        )
    else:
        said = _facts(record.value)
    return printable(f"{_time(record.at_ms)} {topic} {who} {' '.join(said)}".rstrip())


def _time(at_ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S.%f}Z"
    except (ValueError, OverflowError):
        return "?"  # whoever wrote it counts in other units


def _facts(value: bytes | None) -> Iterator[str]:
    data = _data(value)
    if data is None:
        yield "tombstone" if value is None else f"no event: {len(value)} bytes"
        return
    for name in _SHOWN:
        fact = data.get(name)
        if fact is not None:
            is_unknown = name in _COSTS and data.get("cost_known") is False
            yield f"{name}={'unknown' if is_unknown else _short(fact)}"
    error = data.get("error_detail")
    if isinstance(error, dict):
        yield f"{error.get('error_code')}: {error.get('message')}"


def _short(fact: object) -> str:
    return f"{fact:.4g}" if isinstance(fact, float) else str(fact)


def _data(value: bytes | None) -> dict[str, Any] | None:
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    data = document.get("data") if isinstance(document, dict) else None
    return data if isinstance(data, dict) else None
