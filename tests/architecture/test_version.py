from __future__ import annotations

import re
from importlib.metadata import version as installed_version

import pytest

import llm_worker
from tests.support.deployment import version
from tests.support.dockerfile import REPOSITORY

_PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "deploy/**/*.md", "examples/*.md")
    for page in REPOSITORY.glob(pattern)
    if page.name != "CHANGELOG.md"  # tells of older ones
)
_NAMED = re.compile(r"llm-worker(?:\[\w+\])?(?::|==)(\d+\.\d+\.\d+)")


def test_package_tells_the_version_that_it_was_installed_as() -> None:
    assert llm_worker.__version__ == installed_version("llm-worker") == version(), "run make venv"


def test_no_page_names_another_version() -> None:
    named = {found for page in _PAGES for found in _NAMED.findall(page.read_text("utf-8"))}
    assert named == {version()}


def test_version_is_the_latest_in_the_changelog() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    assert headings[0] == "Unreleased"
    latest = re.fullmatch(r"(\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d", headings[1])
    assert latest, "a version and its day: ## 0.1.0 - 2026-11-29"
    assert latest[1] == version()


@pytest.mark.parametrize("module", ["llm_worker/__init__.py", "docs/conf.py"])
def test_version_is_not_written_a_second_time(module: str) -> None:
    assert version() not in (REPOSITORY / module).read_text("utf-8")
