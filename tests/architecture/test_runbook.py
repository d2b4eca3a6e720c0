"""docs/runbook.md: a section for every alert, and nothing in it that is not there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from llm_worker.cli.app import cli
from tests.support.promql import known_series, selectors, unknown_names

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "runbook.md").read_text("utf-8")
_SECTIONS = re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", _PAGE, re.MULTILINE | re.DOTALL)
_RULES = yaml.safe_load((_ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text("utf-8"))
_ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in _RULES["groups"] for rule in group["rules"]
}
_IN_LINE = re.compile(r"`llm-worker ([^`]+)`")
_QUERY = re.compile(r"^ *```promql\n(.*?)```", re.MULTILINE | re.DOTALL)
_UNITS = {"s": "second", "m": "minute", "h": "hour"}


def test_every_alert_has_its_section_once_and_every_section_its_alert() -> None:
    assert sorted(name for name, _ in _SECTIONS) == sorted(_ALERTS)


@pytest.mark.parametrize(("name", "section"), _SECTIONS, ids=[name for name, _ in _SECTIONS])
def test_section_says_how_bad_it_is_what_it_means_what_to_check_and_what_to_do(
    name: str, section: str
) -> None:
    rule = _ALERTS[name]
    assert section.strip().startswith(
        f"{rule['labels']['severity'].title()}, {_delay(rule.get('for'))}."
    )
    parts = re.findall(r"^- \*\*(\w+)\*\*: \S", section, re.MULTILINE)
    assert parts == ["What", "Check", "Do"]


@pytest.mark.parametrize("command", sorted(set(_IN_LINE.findall(_PAGE))))
def test_command_of_the_runbook_is_one(command: str) -> None:
    _parse(cli, shlex.split(command))


@pytest.mark.parametrize("query", _QUERY.findall(_PAGE))
def test_query_of_the_runbook_names_series_that_there_are(query: str) -> None:
    assert selectors(query)
    assert unknown_names(query, known_series()) == []


def _delay(given: str | None) -> str:
    if given is None:
        return "at once"
    count, unit = int(given[:-1]), _UNITS[given[-1]]
    return f"after {count} {unit}{'s' if count != 1 else ''}"


def _parse(
    command: click.Command, arguments: list[str], parent: click.Context | None = None
) -> None:
    """Read a command line as click would, and run nothing; raises UsageError for a wrong one."""
    if not isinstance(command, click.Group):
        command.make_context(command.name, arguments, parent)
        return
    name, *rest = arguments
    ctx = click.Context(command, parent, **command.context_settings)
    found = command.get_command(ctx, name)
    assert found is not None, f"there is no command {name}"
    _parse(found, rest, ctx)
