"""What the commands say to a mistake, word for word; their help is docs/cli.md.

Written again by `SNAPSHOTS=write pytest tests/unit/cli/test_snapshots.py -k NAME`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

from llm_worker.cli.app import cli
from tests.support.environment import forget_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILES: Final = Path(__file__).with_name("snapshots")
_WRITES: Final = os.environ.get("SNAPSHOTS") == "write"  # noqa: TID251 - no setting of ours

_NOBODY: Final = {
    "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "LLM_WORKER_CACHE__REDIS_URL": "redis://127.0.0.1:1/0",
}
_MISTAKES: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "unknown-command": ("nonsense", {}),
    "unknown-option": ("topics list --nonsense", {}),
    "missing-argument": ("compare a.txt", {}),
    "missing-file": ("compare a.txt b.txt", {}),
    "unknown-setting": ("topics list", {"LLM_WORKER_KAFKA__BOOTSTRAP_SERVER": "x:1"}),
    "wrong-setting": ("topics list", {"LLM_WORKER_KAFKA__GROUP": ""}),
    "missing-settings-file": ("topics list", {"LLM_WORKER_CONFIG": "nowhere.toml"}),
    "no-broker": ("usage", {}),
    "no-broker-for-topics": ("topics check", {}),
    "no-redis": ("cache stats", {}),
    "redis-off": ("cache clear --all --yes", {"LLM_WORKER_CACHE__REDIS_URL": ""}),
    "no-provider": ("worker", {}),
    "provider-without-key": ("providers test openai", {}),
    "line-that-is-no-request": ("submit wrong.jsonl", {}),
    "unknown-topic": ("tail gossip", {}),
    "unknown-runtime-setting": ("config get budget.daily_us", {}),
    "fixed-setting": ("config set kafka.group x", {}),
    "wrong-runtime-value": ("config set budget.daily_usd much", {}),
    "dead-letter-without-place": ("dead-letters show 17", {}),
    "dead-letters-since-when": ("dead-letters list --since yesterday", {}),
    "replay-without-consent": ("dead-letters replay", {}),
    "replay-of-both": ("dead-letters replay 0:17 --code TIMEOUT", {}),
}


@pytest.mark.parametrize("name", _MISTAKES)
def test_mistake_is_told_in_these_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("a.txt").write_text("An essay.", encoding="utf-8")
    Path("wrong.jsonl").write_text('{"user_prompt": "which?"}\n{"essay_a": 1}\n', encoding="utf-8")
    words, settings = _MISTAKES[name]
    for variable, value in {**_NOBODY, **settings}.items():
        monkeypatch.setenv(variable, value)

    shown = CliRunner().invoke(cli, words.split(), prog_name="llm-worker")

    said = f"$ llm-worker {words}\n{shown.output}[exit code {shown.exit_code}]\n"
    file = _FILES / f"{name}.txt"
    if _WRITES:
        file.write_text(said, encoding="utf-8")
    assert said == file.read_text(encoding="utf-8")
    assert shown.exit_code in {1, 2}


def test_every_snapshot_is_of_a_mistake() -> None:
    assert {file.stem for file in _FILES.iterdir()} == _MISTAKES.keys()
