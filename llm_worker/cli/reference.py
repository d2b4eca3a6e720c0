"""The page docs/cli.md: the help of every command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from llm_worker.cli.app import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH: Final = 80
_INTRODUCTION: Final = """\
# Which commands are there?

Data goes to stdout, everything else to stderr; where nobody looks (a pipe, a file) there are no
colours and no bars, and a row of a table is one line. `--json` is for programs: what is unknown is
null, money is decimal text. `-h` and `--help` work everywhere. A broker is found, and a login made,
by the [settings](settings.md) `LLM_WORKER_KAFKA__*`.

| exit code | |
|---|---|
| 0 | done |
| 1 | failed: no verdict, nobody there, a difference that was looked for |
| 2 | wrong use: an argument, a file's content, a setting; nothing was sent |
| 70, 75 | `worker`, `accountant`: ended by the watchdog; by force, 45 s after the drain's time |

An error says what to do in its last line. `llm-worker completion bash` (or `zsh`, `fish`) prints
what makes a shell complete commands, options, topics, providers and settings.
"""


def cli_reference() -> str:
    """Write the page: every command in the order of the help, those of a group below it."""
    return _INTRODUCTION + "".join(map(_section, helps()))


def helps() -> Iterator[tuple[str, str]]:
    """Give every command's name and help, 80 characters wide."""
    root = click.Context(cli, info_name="llm-worker", terminal_width=_WIDTH, **cli.context_settings)
    yield "llm-worker", cli.get_help(root)
    yield from _below(cli, root)


def _below(group: click.Group, parent: click.Context) -> Iterator[tuple[str, str]]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        if command is None:
            continue
        ctx = click.Context(command, parent, info_name=name, terminal_width=_WIDTH)
        yield ctx.command_path, command.get_help(ctx)
        if isinstance(command, click.Group):
            yield from _below(command, ctx)


def _section(command: tuple[str, str]) -> str:
    name, words = command
    return f"\n## {name}\n\n```text\n{words}\n```\n"
