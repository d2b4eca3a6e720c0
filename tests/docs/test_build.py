"""`make docs` builds the pages, and a link to nowhere fails it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES
from tests.support.dockerfile import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_OUTPUT = "build/docs"
_RIGHT = [
    "[](#ones-heading)",
    "[index](index.md#pages)",
    "[page](../README.md)",
    "[file](../pyproject.toml)",
    "[folder](../docs)",
]
_WRONG = [
    "[page](two.md)",
    "[heading](#two)",
    "[heading there](index.md#two)",
    "[file](../pyproject)",
    "![image](image.png)",
]


def _build(root: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Run what `make docs` runs, in another folder and into another one."""
    dry = subprocess.run(
        ["/usr/bin/env", "make", "-n", "docs"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = [line for line in dry.stdout.splitlines() if "sphinx-build" in line]
    words = [str(output) if word == _OUTPUT else word for word in shlex.split(line)[1:]]
    assert str(output) in words
    command = [sys.executable, "-m", "sphinx", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - ours


def test_pages_build_without_a_warning(tmp_path: Path) -> None:
    built = _build(REPOSITORY, tmp_path)
    assert built.stderr == ""
    assert built.returncode == 0
    pages = [page.relative_to(REPOSITORY).with_suffix(".html") for page in PAGES]
    assert [page for page in pages if not (tmp_path / page).is_file()] == []
    assert "docs/index.html" in (tmp_path / "index.html").read_text("utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The smallest repository that can be built, without its page docs/one.md."""
    (tmp_path / "docs").mkdir()
    for name in ("docs/conf.py", "pyproject.toml"):
        shutil.copy2(REPOSITORY / name, tmp_path / name)
    (tmp_path / "README.md").write_text("# Read me\n", "utf-8")
    listed = "- [Read me](../README.md)\n- [One](one.md)\n"
    (tmp_path / "docs/index.md").write_text(f"# Site\n\n## Pages\n\n{listed}", "utf-8")
    return tmp_path


def _write_page(site: Path, links: Sequence[str]) -> None:
    lines = "".join(f"\n{link}\n" for link in links)
    (site / "docs/one.md").write_text(f"# One\n\n## One's heading\n{lines}", "utf-8")


def test_links_that_lead_somewhere_are_right(site: Path) -> None:
    _write_page(site, _RIGHT)
    built = _build(site, site / "out")
    assert built.stderr == ""
    assert built.returncode == 0


def test_each_link_to_nowhere_and_each_lost_page_fails_the_build(site: Path) -> None:
    _write_page(site, _WRONG)
    (site / "docs/lost.md").write_text("# Lost\n", "utf-8")
    built = _build(site, site / "out")
    assert built.returncode != 0
    lines = [f"docs/one.md:{line}:" for line in range(5, 5 + 2 * len(_WRONG), 2)]
    assert [line for line in lines if line not in built.stderr] == []
    assert "docs/lost.md: WARNING: document isn't included in any toctree" in built.stderr
