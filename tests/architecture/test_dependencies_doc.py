from __future__ import annotations

import re
import tomllib
from importlib.metadata import metadata
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.dockerfile import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
_PAGE = (REPOSITORY / "docs/dependencies.md").read_text("utf-8")
_WORKER, _EXTRAS = (
    [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()[2:]]
    for rows in re.findall(r"^\| (?:package|extra) .*\n(?:\|.*\n)+", _PAGE, re.MULTILINE)
)
_LICENCES = {row[0]: row[2] for row in _WORKER} | {row[1]: row[3] for row in _EXTRAS}

_ALLOWED = {
    *("MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "PSF-2.0", "MPL-2.0"),
    "Repoze",  # venusian's: BSD, with a word on trademarks
}
_IN_OTHER_WORDS = {
    "MIT": r"MIT( License)?",
    "Apache-2.0": r"Apache( License, Version)?( Software License)?([ -]2(\.0)?)?",
    "BSD-2-Clause": r"BSD 2-Clause License",
    "BSD-3-Clause": r"BSD License|3-Clause BSD License|BSD-3-Clause|.*Redistribution and use.*",
    "MPL-2.0": r"Mozilla Public License 2.0 \(MPL 2.0\)",
    "PSF-2.0": r"Python Software Foundation License",
    "GPL-2.0": r"GNU General Public License v2 \(GPLv2\)",
    "GPL-3.0": r"GPL-3.0",
    "Repoze": r"BSD-derived \(Repoze\)",
}
# Their metadata names none; read in their files.
_SAID_ELSEWHERE = {"axe-playwright-python": "MIT"}


def test_page_has_each_dependency_of_the_worker_and_no_more() -> None:
    assert sorted(row[0] for row in _WORKER) == sorted(_names(_PROJECT["dependencies"]))


def test_page_has_each_dependency_of_the_extras_and_no_more() -> None:
    wanted = [
        [extra, name]
        for extra, requirements in _PROJECT["optional-dependencies"].items()
        for name in _names(requirements)
    ]
    assert sorted(row[:2] for row in _EXTRAS) == sorted(wanted)


@pytest.mark.parametrize("name", _LICENCES)
def test_licence_on_the_page_is_what_the_package_says(name: str) -> None:
    assert _LICENCES[name] == _licence(name)


@pytest.mark.parametrize(
    "requirement",
    [
        requirement
        for line in re.findall(
            r"^[a-z].*?(?= \\$)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE
        )
        if (requirement := Requirement(line)).marker is None or requirement.marker.evaluate()
    ],
    ids=lambda requirement: str(requirement.name),
)
def test_whatever_is_installed_with_the_worker_has_a_licence_that_asks_little(
    requirement: Requirement,
) -> None:
    terms = {term.strip(" ()") for term in re.split(r" AND | OR ", _licence(requirement.name))}
    assert terms <= _ALLOWED


def _names(requirements: Iterable[str]) -> list[str]:
    return [Requirement(each).name for each in requirements]


def _licence(name: str) -> str:
    """Give what a package's metadata says, as SPDX writes it."""
    told = metadata(name)
    for expression in told.get_all("License-Expression") or ():
        return str(expression)
    classifiers = (each.split(" :: ") for each in told.get_all("Classifier") or ())
    stated = [each[-1] for each in classifiers if each[0] == "License" and len(each) > 2]
    words = [
        *(told.get_all("License") or ()),
        *stated,
        _SAID_ELSEWHERE.get(canonicalize_name(name), ""),
    ]
    found = [
        licence
        for word in words
        for licence, pattern in _IN_OTHER_WORDS.items()
        if re.fullmatch(pattern, word, re.DOTALL)
    ]
    assert found, f"{name} names its licence in words that nobody here knows: {words}"
    return found[0]
