"""`llm-worker cache`: what is kept, what it saves; put more there, or remove it."""

from __future__ import annotations

import asyncio
import json
from typing import IO, TYPE_CHECKING

import click

from llm_worker import bootstrap
from llm_worker.bootstrap.cache.warming import load_routing_settings, open_inventory, open_routes
from llm_worker.cli.app import FAILED, json_option, may_ask, print_json, say
from llm_worker.cli.cache.counters import counted_by_tier, read_counters
from llm_worker.cli.cache.file import read_file
from llm_worker.cli.cache.shelf import Shelf
from llm_worker.cli.cache.stock import Stock, show_stock, take_stock
from llm_worker.cli.cache.topics import read_topics
from llm_worker.contracts.vocabulary import ProviderName

if TYPE_CHECKING:
    from llm_worker.bootstrap import Settings
    from llm_worker.domain.cached import CachedVerdict


@click.group()
def cache() -> None:
    """Show what the cache holds and saves; fill it; clear it."""


@cache.command()
@json_option
def stats(*, as_json: bool) -> None:
    """Show the verdicts in Redis, and what a worker has counted.

    Of Redis: verdicts by provider and model, bytes, what they cost to buy, which is what a hit
    saves, and when they were bought. Of the worker that answers at LLM_WORKER_WEB__HOST and
    __PORT: hits, misses, evictions, errors and savings by tier, since it started.
    """
    settings = bootstrap.load_settings()
    stock: Stock | None = None
    if settings.cache.redis_url.get_secret_value():
        stock = asyncio.run(_stock(settings))
    else:
        say("LLM_WORKER_CACHE__REDIS_URL is empty: each worker has its own memory and no more")
    counters = read_counters(settings.web.host, settings.web.port)
    counted = None
    if isinstance(counters, str):
        say(counters)
    else:
        counted = counted_by_tier(counters)
    if as_json:
        document = {"redis": stock and stock.as_json(), "worker": counted}
        print_json(document)
    else:
        show_stock(stock, counted)


@cache.command()
@click.option(
    "--provider", type=click.Choice([n.value for n in ProviderName]), help="Only its verdicts."
)
@click.option("--model", help="Only verdicts of this model, by its exact name.")
@click.option("--organization", help="Only verdicts that this organisation paid for.")
@click.option("--all", "everything", is_flag=True, help="Every verdict.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def clear(
    *,
    provider: str | None,
    model: str | None,
    organization: str | None,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete verdicts from Redis: those to which all the options apply.

    What is known of requests that may come again stays. Asks first, at a terminal.
    """
    given = {"provider": provider, "model": model, "organization": organization}
    wanted = {name: value for name, value in given.items() if value is not None}
    if bool(wanted) == everything:
        raise click.UsageError(
            "say which verdicts: --provider, --model, --organization, or --all alone"
        )
    settings = _with_redis(bootstrap.load_settings())
    which = " and ".join(f"{name} {value}" for name, value in wanted.items())
    if not yes and may_ask():
        question = f"Delete the verdicts with {which}?" if which else "Delete every verdict?"
        click.confirm(question, abort=True, err=True)
    deleted = asyncio.run(_clear(settings, wanted))
    click.echo(json.dumps({"deleted": deleted}) if as_json else f"{deleted} verdicts deleted")
    say(
        "workers that run may answer from their own memory for "
        f"{settings.cache.local_ttl_s} s more (LLM_WORKER_CACHE__LOCAL_TTL_S)"
    )


@cache.command()
@click.argument("source", type=click.File("rb"), required=False, metavar="FILE")
@click.option("--from-topics", is_flag=True, help="Read requests and results from Kafka.")
@json_option
def warm(*, source: IO[bytes] | None, from_topics: bool, as_json: bool) -> None:
    """Put verdicts that were bought before into Redis.

    FILE (- for stdin) has one JSON object a line: {"request": LLMComparisonRequestV1, "result":
    LLMComparisonResultV1}. With --from-topics it is what the request topics and the default reply
    topic hold now; it remembers about 700 bytes a request.

    Each is kept as a worker with the settings of this command would look for it, so give it the
    worker's. Verdicts that are there are left as they are. A line that cannot be used is named and
    skipped; then it exits 1.
    """
    if (source is not None) == from_topics:
        raise click.UsageError("name a FILE (- for stdin), or --from-topics")
    settings = _with_redis(load_routing_settings())
    shelf = asyncio.run(_warm(settings, source))
    skipped = shelf.skipped.total()
    if as_json:
        counts = {"kept": shelf.kept, "already_there": shelf.already_there, "skipped": skipped}
        click.echo(json.dumps(counts))
    else:
        click.echo(f"{shelf.kept} kept, {shelf.already_there} already there, {skipped} skipped")
    if source is not None and skipped:
        raise SystemExit(FAILED)
    if source is None:
        for why, count in shelf.skipped.most_common():
            say(f"{count} skipped: {why}")


async def _stock(settings: Settings) -> Stock:
    async with open_inventory(settings) as inventory:
        return await take_stock(inventory)


async def _warm(settings: Settings, source: IO[bytes] | None) -> Shelf:
    async with open_routes(settings) as routes, open_inventory(settings) as inventory:
        shelf = Shelf(inventory, ttl_s=settings.cache.ttl_s)
        if source is None:
            await read_topics(settings, routes, shelf)
        else:
            await read_file(source, routes, shelf)
        await shelf.flush()
        return shelf


async def _clear(settings: Settings, wanted: dict[str, str]) -> int:
    deleted = 0
    async with open_inventory(settings) as inventory:
        async for stored in inventory.verdicts():
            keys = [each.key for each in stored if not wanted or fits(each.verdict, wanted)]
            deleted += await inventory.remove(keys)
    return deleted


def fits(verdict: CachedVerdict | None, wanted: dict[str, str]) -> bool:
    """Say whether a verdict has everything that is wanted; of one in another form nobody knows."""
    if verdict is None:
        return False
    has = {
        "provider": verdict.provider,
        "model": verdict.completion.model,
        "organization": verdict.organization_id,
    }
    return all(has[name] == value for name, value in wanted.items())


def _with_redis(settings: Settings) -> Settings:
    if not settings.cache.redis_url.get_secret_value():
        raise bootstrap.SettingsError(
            "LLM_WORKER_CACHE__REDIS_URL is empty: set it; each worker's own memory is reached by "
            "nobody else"
        )
    return settings
