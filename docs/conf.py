"""Sphinx: these pages and the other Markdown of the repository as HTML, every link checked.

The pages are written for GitHub, and stay plain Markdown: the navigation is made from the lists of
links in index.md. The source directory is the repository's root, since pages link to its files.
"""  # noqa: INP001 - Sphinx reads it by its path

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt
from pygments.lexers.data import JsonLexer
from pygments.lexers.shell import BashLexer
from sphinx.addnodes import pending_xref

if TYPE_CHECKING:
    from docutils.nodes import document
    from sphinx.application import Sphinx

_ROOT: Final = Path(__file__).parents[1]
_INDEX: Final = "docs/index"
_TO_THE_INDEX: Final = (
    '<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html">\n'
)

project = "llm-worker"
version = release = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "version"
]
extensions = ["myst_parser"]
root_doc = _INDEX
include_patterns = ["*.md", "docs/*.md", "deploy/*.md", "examples/*.md"]
exclude_patterns = [".*", "build", "dist", "llm_worker", "tests", "benchmarks"]

nitpicky = True
linkcheck_anchors = False  # pages that a script builds have none

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False

myst_enable_extensions = ["alert"]
myst_heading_anchors = 6  # GitHub's names


def setup(app: Sphinx) -> None:
    """Add what makes a site of pages that are written for GitHub."""
    app.add_lexer("env", BashLexer)
    app.add_lexer("jsonl", JsonLexer)
    app.connect("source-read", _add_navigation)
    app.connect("doctree-read", _leave_folders_unlinked)
    app.connect("build-finished", _lead_to_the_index)


def _add_navigation(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Give the index a navigation: a group for each heading, with the pages linked below it."""
    if docname != _INDEX:
        return
    groups: dict[str, list[str]] = {}
    tokens = MarkdownIt().parse(source[0])
    for before, token in itertools.pairwise(tokens):
        if before.type == "heading_open" and before.tag == "h2":
            groups[token.content] = []
        elif groups:
            links = (str(child.attrGet("href") or "") for child in token.children or ())
            groups[next(reversed(groups))] += [link for link in links if link.endswith(".md")]
    for caption, pages in groups.items():
        listed = "\n".join(pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def _leave_folders_unlinked(app: Sphinx, doctree: document) -> None:
    """Show a folder of the repository by its name alone: a site has no folders to open."""
    for node in list(doctree.findall(pending_xref)):
        _, path = app.env.relfn2path(node["reftarget"], node["refdoc"])
        if Path(path).is_dir():
            node.replace_self(node.children)


def _lead_to_the_index(app: Sphinx, _error: Exception | None) -> None:
    (Path(app.outdir) / "index.html").write_text(_TO_THE_INDEX, "utf-8")
