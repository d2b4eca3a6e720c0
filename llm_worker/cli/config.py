"""`llm-worker config`: what can be changed while the processes run, and changing it."""

from __future__ import annotations

import asyncio
import getpass
import json
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from llm_worker import bootstrap
from llm_worker.adapters.clock import SystemClock
from llm_worker.bootstrap.runtime.settings import ControlledSettings, runtime_names
from llm_worker.cli.app import json_option, print_json
from llm_worker.cli.control_topic import ControlTopic
from llm_worker.cli.tables import folded, new_table, print_table, whole
from llm_worker.contracts.events import LLMControlV1
from llm_worker.domain.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from llm_worker.bootstrap import Settings
    from llm_worker.bootstrap.runtime.settings import SettingInForce


def _names(_ctx: click.Context, _argument: click.Parameter, begun: str) -> list[str]:
    return [name for name in runtime_names() if name.startswith(begun)]


_name_argument = click.argument("name", shell_complete=_names)


@click.group()
def config() -> None:
    """Show the settings that can be changed while the processes run; change them.

    A change stands in the control topic, holds in every process within a second or so, and stays
    until it is unset. Names are those of the TOML file: budget.daily_usd.
    """


@config.command("list")
@json_option
def list_settings(*, as_json: bool) -> None:
    """Show each such setting: its value, where from, and who has changed it.

    From: control (the topic), environment (of this command; its files of settings too), default.
    """
    found = asyncio.run(ControlTopic(bootstrap.load_settings()).read()).in_force()
    if as_json:
        print_json([_as_json(each) for each in found])
    else:
        print_table(_table(found), crop=False)


@config.command()
@_name_argument
@json_option
def get(*, name: str, as_json: bool) -> None:
    """Show one setting's value."""
    settings = bootstrap.load_settings()
    ControlledSettings(settings).of(name)  # a wrong name is told without a broker
    found = asyncio.run(ControlTopic(settings).read()).of(name)
    if as_json:
        print_json(_as_json(found))
    else:
        click.echo(in_words(found.value))


@config.command("set")
@_name_argument
@click.argument("value")
@click.option("--reason", metavar="TEXT", help="Why; `config list` shows it.")
@json_option
def set_setting(*, name: str, value: str, reason: str | None, as_json: bool) -> None:
    """Change a setting in every process.

    VALUE is written as in the environment; an empty one is none. Asks no process: it is checked
    here, by the rules that they have. A worker that cannot go by it all the same, as it lacks a
    provider's key, logs that and goes on with its own.
    """
    settings = bootstrap.load_settings()
    ControlledSettings(settings).checked(name, value)  # a wrong one is told without a broker
    checked, before = asyncio.run(_set(settings, name, value, reason or None))
    if as_json:
        print_json({"name": name, "value": checked, "before": before})
    else:
        click.echo(f"{name}: {in_words(checked)} (before: {in_words(before)})")


@config.command()
@_name_argument
@json_option
def unset(*, name: str, as_json: bool) -> None:
    """Take a change away: each process has its own value again."""
    settings = bootstrap.load_settings()
    own = ControlledSettings(settings).of(name)
    before = asyncio.run(_unset(settings, name))
    if as_json:
        print_json({"name": name, "value": own.value, "source": own.source, "before": before})
    else:
        click.echo(f"{name}: {in_words(own.value)}, by {own.source} (before: {in_words(before)})")


async def _set(
    settings: Settings, name: str, value: str, reason: str | None
) -> tuple[object, object]:
    topic = ControlTopic(settings)
    found = await topic.read()
    checked = found.checked(name, value)
    previous = found.changes.get(name)
    await topic.set(
        LLMControlV1(
            setting=name,
            value=checked,
            changed_by=_who(),
            changed_at=SystemClock().now(),
            reason=reason,
            previous=None if previous is None else previous.value,
        )
    )
    return checked, found.of(name).value


async def _unset(settings: Settings, name: str) -> object:
    topic = ControlTopic(settings)
    found = await topic.read()
    found.check_unset(name)
    await topic.unset(name)
    return found.of(name).value


def in_words(value: Any) -> str:  # noqa: ANN401 - each setting has a type of its own
    """Write a value as it could be set; what is empty is none."""
    match value:
        case _ if value in (None, "", [], {}):
            return "none"
        case bool():
            return str(value).lower()
        case list():
            return ",".join(map(in_words, value))
        case dict():
            return printable(json.dumps(value, ensure_ascii=False))
        case _:
            return printable(str(value))


def _who() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError, ImportError):  # in a container the user may have no name
        return "cli"


def _as_json(setting: SettingInForce) -> dict[str, object]:
    change = setting.change
    return {
        "name": setting.name,
        "value": setting.value,
        "source": setting.source,
        "changed_by": change and change.changed_by,
        "changed_at": change and change.changed_at.isoformat(),
        "reason": change and change.reason,
    }


def _table(settings: Iterable[SettingInForce]) -> Table:
    table = new_table(
        *whole("name"), *folded("value", "from", "changed by", "changed at", "reason")
    )
    for each in settings:
        change = each.change
        told = ["", "", ""]
        if change is not None:
            moment = f"{change.changed_at:%Y-%m-%d %H:%M:%SZ}"
            told = [printable(change.changed_by), moment, printable(change.reason or "")]
        table.add_row(*map(escape, (each.name, in_words(each.value), each.source, *told)))
    return table
