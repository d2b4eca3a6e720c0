from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from llm_worker.settings import load_settings, settings_table

if TYPE_CHECKING:
    import pytest

_ROOT = Path(__file__).parents[2]
_GIVEN = re.compile(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", re.MULTILINE)


def test_settings_page_is_current() -> None:
    page = (_ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_table(), (
        "write it again: python -c 'from llm_worker.settings import settings_table; "
        'print(settings_table(), end="")\' > docs/settings.md'
    )


def test_example_environment_could_be_used_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = dict(_GIVEN.findall((_ROOT / ".env.example").read_text(encoding="utf-8")))
    monkeypatch.chdir(tmp_path)
    assert given
    load_settings(given)
