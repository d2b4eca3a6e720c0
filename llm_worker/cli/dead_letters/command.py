"""`llm-worker dead-letters`: what failed and why; sending it again, priced first."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from typing_extensions import override

from llm_worker import bootstrap
from llm_worker.adapters.clock import SystemClock
from llm_worker.cli.app import FAILED, json_option, may_ask, print_json, say
from llm_worker.cli.dead_letters.listing import (
    letter_as_json,
    record_as_json,
    show_letters,
    show_record,
)
from llm_worker.cli.dead_letters.topic import DeadLetterTopic, Wanted
from llm_worker.contracts.vocabulary import ErrorCode, TopicName

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.bootstrap import Settings
    from llm_worker.cli.dead_letters.topic import Letter, Place
    from llm_worker.domain.delivery import PlacedRecord

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LISTED: Final = 100


class _Moment(click.ParamType):
    name = "time"

    @override
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return moment_of(value, SystemClock().now())
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is neither a while like 30m, 12h or 7d, nor a time like "
                "2026-11-23T10:00 (UTC unless it says otherwise)",
                param,
                ctx,
            )


class _Place(click.ParamType):
    name = "place"

    @override
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        found = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,18})", str(value), re.ASCII)
        if found is None:
            self.fail(
                f"{value!r} is no PARTITION:OFFSET as `llm-worker dead-letters list` shows it, "
                "like 0:17",
                param,
                ctx,
            )
        return int(found[1]), int(found[2])


def moment_of(text: str, now: datetime) -> datetime:
    """Read a time, or a while before now. Raises ValueError or OverflowError: it is neither."""
    ago = re.fullmatch(r"([0-9]+)([smhdw])", text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose dead letters."""
    for option in (
        click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The newest N."),
        click.option(
            "--topic",
            "topics",
            multiple=True,
            type=click.Choice([name.value for name in TopicName]),
            metavar="TOPIC",
            help="Only what came from this topic, by its name in topics.yaml; may be given again.",
        ),
        click.option(
            "--code",
            "codes",
            multiple=True,
            type=click.Choice([code.value for code in ErrorCode], case_sensitive=False),
            metavar="CODE",
            help="Only this error code; may be given again.",
        ),
        click.option(
            "--since",
            type=_Moment(),
            metavar="TIME",
            help="Only newer ones: 30m, 12h, 7d, or a time like 2026-11-23T10:00, UTC.",
        ),
    ):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """Show the records that were set aside, and why; send requests again."""


@dead_letters.command("list")
@_filters
@json_option
def list_letters(*, as_json: bool, **filters: Any) -> None:  # noqa: ANN401 - those of `_filters`
    """Show what was set aside: where from, why, and what it had cost; never an essay.

    `at` is where it lies in the topic of dead letters, as the other commands take it. Without
    --limit a table has the newest 100.
    """
    settings = bootstrap.load_settings()
    wanted = _wanted(settings, **filters)
    found = sorted(asyncio.run(_letters(settings, wanted)), key=lambda letter: letter.age)
    limit = wanted.limit or (len(found) if as_json else _LISTED)
    shown = found[-limit:]
    if as_json:
        print_json([letter_as_json(letter) for letter in shown])
    elif shown:
        show_letters(shown, bootstrap.catalog(settings))
    say(f"{len(shown)} of {len(found)} dead letters")


@dead_letters.command()
@click.argument("place", type=_Place(), metavar="PARTITION:OFFSET")
@click.option("--json", "as_json", is_flag=True, help="Print the original too, with its texts.")
def show(*, place: Place, as_json: bool) -> None:
    """Show one: its headers and the request's fields, without essays and prompt."""
    found = asyncio.run(_record(bootstrap.load_settings(), place))
    if found is None:
        raise click.ClickException(_missing(place))
    if as_json:
        print_json(record_as_json(*found))
    else:
        show_record(found[1])


@dead_letters.command()
@click.argument("places", type=_Place(), nargs=-1, metavar="[PARTITION:OFFSET]...")
@_filters
@click.option("--dry-run", is_flag=True, help="Only say what would be sent, and its price.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def replay(
    *,
    places: tuple[Place, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **filters: Any,  # noqa: ANN401 - those of `_filters`
) -> None:
    """Send requests that failed again, as new requests: those named, or all that the options fit.

    Says first how many, which errors they had, and what one call for each would cost by the
    settings of this command; give it the worker's. Then it asks, at a terminal.

    The new event id follows from the old one, which the header `replay_of` names. So the same
    request replayed again is answered with the outcome of its first replay as long as that is known
    (LLM_WORKER_CACHE__OUTCOME_TTL_S), and is not bought again. A deadline (not_after) is left out.
    Exits 1 if one that is named cannot be sent.
    """
    if places and any(filters.values()):
        raise click.UsageError("name dead letters, or choose them by options, not both")
    if not (dry_run or yes or may_ask()):
        raise click.UsageError("nobody can be asked here: give --yes, or --dry-run")
    # Prices are imported by nobody who only lists.
    from llm_worker.cli.dead_letters.report import Replaying  # noqa: PLC0415 - see above

    replaying = Replaying(places=places, dry_run=dry_run, yes=yes, as_json=as_json)
    if not replaying.run(lambda settings: _wanted(settings, **filters)):
        raise SystemExit(FAILED)


def _wanted(
    settings: Settings,
    *,
    since: datetime | None,
    codes: tuple[str, ...],
    topics: tuple[str, ...],
    limit: int | None,
) -> Wanted:
    catalog = bootstrap.catalog(settings)
    return Wanted(
        since=since,
        codes=frozenset(codes),
        topics=frozenset(catalog.on_broker(TopicName(name)) for name in topics),
        limit=limit,
    )


async def _letters(settings: Settings, wanted: Wanted) -> list[Letter]:
    async with aclosing(DeadLetterTopic(settings).read(wanted)) as found:
        return [letter async for letter, _ in found]


async def _record(settings: Settings, place: Place) -> tuple[Letter, PlacedRecord] | None:
    async with aclosing(DeadLetterTopic(settings).read_at([place])) as found:
        return await anext(found, None)


def _missing(place: Place) -> str:
    return (
        f"no dead letter at {place[0]}:{place[1]}: it is too old, or was never there; "
        "see `llm-worker dead-letters list`"
    )
