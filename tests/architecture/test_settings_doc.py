from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from llm_worker.settings import load_settings, settings_example, settings_table
from llm_worker.settings.names import variables

if TYPE_CHECKING:
    import pytest

_ROOT = Path(__file__).parents[2]
_GIVEN = re.compile(r"^# ([A-Z][A-Z0-9_]+)=(.*)$", re.MULTILINE)
_SECRET = ("_API_KEY", "_PASSWORD")


def test_settings_page_is_current() -> None:
    page = (_ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_table(), (
        "write it again: python -c 'from llm_worker.settings import settings_table; "
        'print(settings_table(), end="")\' > docs/settings.md'
    )


def test_every_description_can_be_read_alone() -> None:
    """An error shows it without the one before it."""
    leaning = re.compile(r"(the same|it|they|[\d,]+ or more|Secret)\b", re.IGNORECASE)
    meanings = {name: variable.meaning for name, variable in variables().items()}
    assert not {name for name, words in meanings.items() if leaning.match(words)}


def test_example_environment_is_current() -> None:
    assert _example() == settings_example(), (
        "write it again: python -c 'from llm_worker.settings import settings_example; "
        'print(settings_example(), end="")\' > .env.example'
    )


def test_example_environment_is_all_commented_out_and_holds_no_secret() -> None:
    lines = _example().splitlines()
    assert all(not line or line.startswith("# ") for line in lines)
    assert {"# LLM_WORKER_ADMIN_API_KEY=", "# OTEL_EXPORTER_OTLP_ENDPOINT="} <= set(lines)
    secrets = [value for name, value in _GIVEN.findall(_example()) if name.endswith(_SECRET)]
    assert secrets
    assert not any(secrets)


def test_example_environment_taken_as_it_stands_is_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = dict(_GIVEN.findall(_example()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / given["LLM_WORKER_CONFIG"]).touch()
    # None is not the same as empty here: none is every other provider, empty is nobody.
    assert given.pop("LLM_WORKER_ROUTING__FALLBACK") == ""
    assert load_settings(given) == load_settings({})


def _example() -> str:
    return (_ROOT / ".env.example").read_text(encoding="utf-8")
