"""The settings of whoever runs the tests are not the tests': a key among them would be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.settings.names import CONFIG, variables

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def forget_settings(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Work in `directory`, where there is no file of settings, with none in the environment."""
    monkeypatch.chdir(directory)
    monkeypatch.delenv(CONFIG, raising=False)
    for variable in variables().values():
        for name in (variable.name, *variable.aliases):
            monkeypatch.delenv(name, raising=False)
