from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from llm_worker.cli.app import COMMANDS, WRONG_USE, cli
from llm_worker.contracts.vocabulary import ErrorCode, ProviderName, TopicName


def completed(*words: str, begun: str = "") -> set[str]:
    shell = ShellComplete(cli, {}, "llm-worker", "_LLM_WORKER_COMPLETE")
    return {str(item.value) for item in shell.get_completions(list(words), begun)}


@pytest.mark.parametrize(
    ("shell", "words"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef llm-worker"), ("fish", "complete --no-")],
)
def test_script_asks_this_command(shell: str, words: str) -> None:
    shown = CliRunner().invoke(cli, ["completion", shell])

    assert shown.exit_code == 0
    assert words in shown.stdout
    assert f"_LLM_WORKER_COMPLETE={shell}_complete" in shown.stdout


def test_unknown_shell_is_wrong_use() -> None:
    assert CliRunner().invoke(cli, ["completion", "tcsh"]).exit_code == WRONG_USE


def test_commands_are_completed_with_their_help_and_none_is_imported() -> None:
    code = (
        "import sys\n"
        "from click.shell_completion import ShellComplete\n"
        "from llm_worker.cli.app import cli\n"
        "found = ShellComplete(cli, {}, 'llm-worker', 'V').get_completions([], '')\n"
        "heavy = {'aiokafka', 'pydantic', 'llm_worker.bootstrap'} & sys.modules.keys()\n"
        "print(*(item.value for item in found), *heavy)\n"
    )
    shown = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == list(COMMANDS)


def test_beginning_of_a_command_and_of_an_option_is_completed() -> None:
    assert completed(begun="to") == {"topics"}
    assert completed(begun="--v") == {"--version"}
    assert completed("dead-letters") == {"list", "show", "replay"}
    assert {"--dry-run", "--yes"} <= completed("dead-letters", "replay", begun="--")


def test_names_are_completed_where_a_command_takes_them() -> None:
    providers = {name.value for name in ProviderName}
    assert completed("tail") == {name.value for name in TopicName}
    assert completed("tail", "control", begun="cost") == {"cost_tracking", "cost_alert"}
    assert completed("providers", "test") == providers
    assert completed("compare", "--provider") == providers
    assert completed("dead-letters", "list", "--code") == {code.value for code in ErrorCode}


@pytest.mark.parametrize("command", ["get", "set", "unset"])
def test_runtime_settings_are_completed(command: str) -> None:
    assert {"budget.daily_usd", "budget.hard"} <= completed("config", command, begun="budget.")
    assert "kafka.group" not in completed("config", command)


def test_the_program_itself_answers_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LLM_WORKER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "llm-worker dead")
    monkeypatch.setenv("COMP_CWORD", "1")
    shown = subprocess.run(
        [sys.executable, "-c", "from llm_worker.__main__ import main; main()"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "plain,dead-letters\n"


def test_every_group_is_found_by_completion() -> None:
    ctx = click.Context(cli)
    groups = {n for n in COMMANDS if isinstance(cli.get_command(ctx, n), click.Group)}
    assert {"cache", "config", "dead-letters", "providers", "schemas", "topics"} <= groups
    for name in groups:
        assert completed(name), name
