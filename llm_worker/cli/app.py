"""The command `llm-worker`: its subcommands, its consoles, and how failures are told.

Exit codes: 0 done, 1 failed, 2 wrong use. Data goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.console import Console
from typing_extensions import override

from llm_worker import __version__
from llm_worker.cli.kafka_remedy import remedy_for

FAILED = 1
WRONG_USE = 2

out = Console(highlight=False)
"""Data for people, to stdout. JSON for programs goes through `click.echo`, which never wraps."""

err = Console(stderr=True, highlight=False)
"""Everything else, to stderr."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program.")
"""The option of a command that prints a document with `print_json` instead."""

COMMANDS = {
    "accountant": ("llm_worker.cli.processes", "Add up costs; publish totals and alerts."),
    "asyncapi": ("llm_worker.cli.asyncapi", "Print the AsyncAPI document of topics and events."),
    "cache": ("llm_worker.cli.cache.command", "Show what the cache holds; fill it; clear it."),
    "compare": ("llm_worker.cli.compare", "Compare two essays, through Kafka."),
    "completion": ("llm_worker.cli.completion", "Print the script that completes commands."),
    "config": ("llm_worker.cli.config", "Show what can be changed at run time; change it."),
    "contract": (
        "llm_worker.cli.contract.command",
        "Hold records to the contract; print golden records.",
    ),
    "dead-letters": (
        "llm_worker.cli.dead_letters.command",
        "Show what was set aside; send it again.",
    ),
    "demo": ("llm_worker.cli.demo.command", "Rank twelve essays, or yours, on an embedded Kafka."),
    "dev": ("llm_worker.cli.processes", "Run broker, cache, worker and accountant here."),
    "doctor": (
        "llm_worker.cli.doctor.command",
        "Check everything the worker needs; say what to do.",
    ),
    "providers": (
        "llm_worker.cli.providers.command",
        "Show providers, models and prices; test one.",
    ),
    "schemas": ("llm_worker.cli.schemas", "Export the events' JSON Schemas, or check them."),
    "submit": ("llm_worker.cli.submit", "Send many requests from a file of JSON Lines."),
    "tail": ("llm_worker.cli.tail", "Follow events as they come."),
    "topics": ("llm_worker.cli.topics", "Compare topics.yaml with the cluster; create topics."),
    "usage": (
        "llm_worker.cli.usage.command",
        "Show what was spent, and by whom; verify the totals.",
    ),
    "worker": ("llm_worker.cli.processes", "Consume requests, buy verdicts, publish results."),
}
"""Each subcommand with the module that defines it under its name, and its line in the help."""

# By name, so that the help need not import what could raise them. What else a person can do
# about it follows the error's own text.
_EXPECTED = {
    "llm_worker.settings.faults.SettingsError": (WRONG_USE, "Every setting: docs/settings.md"),
    "llm_worker.client.errors.ClientError": (FAILED, ""),
    "llm_worker.client.journal.JournalError": (WRONG_USE, ""),
    "llm_worker.client.journal.JournalFullError": (FAILED, ""),
    "llm_worker.client.errors.UnreachableError": (
        FAILED,
        (
            "Set LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS, and LLM_WORKER_KAFKA__SECURITY_PROTOCOL "
            "if it wants TLS or a login; `llm-worker doctor` says more."
        ),
    ),
    "llm_worker.client.errors.NotAllowedError": (
        FAILED,
        (
            "Set LLM_WORKER_KAFKA__SECURITY_PROTOCOL, __SASL_* and __SSL_* to what it wants; "
            "`llm-worker doctor` says more."
        ),
    ),
    "llm_worker.adapters.kafka.topics.ClusterError": (FAILED, ""),
    "llm_worker.adapters.kafka.server.PortTakenError": (FAILED, ""),
    "llm_worker.adapters.cache.probe.CacheUnreachableError": (
        FAILED,
        "Start Redis, or set LLM_WORKER_CACHE__REDIS_URL; `llm-worker doctor` says more.",
    ),
    "llm_worker.dev.leashed.EmbeddedServerError": (FAILED, ""),
}

_OF_KAFKA = {
    "llm_worker.client.errors.UnreachableError",
    "llm_worker.client.errors.NotAllowedError",
    "llm_worker.adapters.kafka.topics.ClusterError",
}
"""Those whose words may tell more of what to do."""


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is used, and tells failures in one line."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), name)
        return command

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)  # the options

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            known = _in_words(_alone(error))
            if known is None:
                raise
            words, exit_code = known
            raise _Told(words, exit_code) from error


class _Told(click.ClickException):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def _alone(error: Exception) -> Exception:
    """Take an error out of the groups that it has come in, if it is alone there."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _in_words(error: Exception) -> tuple[str, int] | None:
    """Say what happened and what to do; None of what nobody expected."""
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]
    expected = next((_EXPECTED[name] for name in names if name in _EXPECTED), None)
    if expected is not None:
        exit_code, remedy = expected
        if _OF_KAFKA & set(names):
            remedy = remedy_for(str(error)) or remedy
        return f"{error}\n{remedy}".rstrip(), exit_code
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror}", FAILED
    if isinstance(error, ModuleNotFoundError):
        extra = _extra_with(error.name or "")
        if extra is not None:
            return f"{error.name} is not installed: pip install 'llm-worker[{extra}]'", FAILED
    return None


def _extra_with(module: str) -> str | None:
    """Name the extra that installs a module."""
    try:
        requirements = requires("llm-worker") or ()
    except PackageNotFoundError:
        return None
    name = re.escape(module.partition(".")[0])
    for requirement in requirements:
        found = re.match(rf"{name}\b.*extra == ['\"](\w+)['\"]", requirement)
        if found:
            return found[1]
    return None


def print_json(document: object) -> None:
    """Print a document for a program."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def say(words: str) -> None:
    """Tell a person something beside the data, on one line and as it stands."""
    err.print(words, markup=False, soft_wrap=True)


def may_ask() -> bool:
    """Say whether somebody sits there who could answer a question."""
    return sys.stdin is not None and sys.stdin.isatty()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="llm-worker")
def cli() -> None:
    """Buy comparison verdicts from LLM providers for requests on Kafka, and lose none."""
