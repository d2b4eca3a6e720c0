"""Reads the Dockerfile, so that tests hold it to what it says and do what it does."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shlex import split
from shutil import copy, copytree, ignore_patterns
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "Dockerfile"

_ABSOLUTE = re.compile(r"(?<![^\s=])/(?=\w)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined."""

    keyword: str
    value: str


def stages() -> list[list[Instruction]]:
    """Give the instructions of each stage; the first of each is its FROM."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in text.replace("\\\n", " ").splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword == "FROM":
            found.append([])
        if keyword:
            found[-1].append(Instruction(keyword, value.strip()))
    return found


def values(stage: Sequence[Instruction], keyword: str) -> list[str]:
    """Give what follows each of a stage's instructions of one kind."""
    return [each.value for each in stage if each.keyword == keyword]


def environment(stage: Sequence[Instruction], outside: dict[str, str]) -> dict[str, str]:
    """Give the variables of a stage's ENV, those of `outside` put in where they are named."""
    pairs = (pair.partition("=") for value in values(stage, "ENV") for pair in split(value))
    return {name: Template(value).substitute(outside) for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class ImageRoot:
    """A directory that stands for the root of an image; every absolute path is one below it."""

    directory: Path

    def inside(self, text: str) -> str:
        """Move the absolute paths of a command, or of a variable, below the root."""
        return _ABSOLUTE.sub(f"{self.directory}/", text)

    def build(self, stage: Sequence[Instruction], variables: dict[str, str]) -> None:
        """Carry out the COPY and RUN of a stage."""
        place = self.directory
        for instruction in stage:
            match instruction.keyword:
                case "WORKDIR":
                    place = Path(self.inside(instruction.value))
                    place.mkdir(parents=True, exist_ok=True)
                case "COPY":
                    *sources, target = instruction.value.split()
                    _copy(sources, Path(os.path.normpath(place / self.inside(target))))
                case "RUN":
                    self.run(instruction.value, variables, place)
                case _:
                    pass

    def run(self, command: str, variables: dict[str, str], place: Path | None = None) -> None:
        """Carry out a command of a RUN."""
        done = subprocess.run(  # noqa: S603 - our own Dockerfile's
            ["/bin/sh", "-c", self.inside(command)],
            cwd=place or self.directory,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"RUN {command}\n{done.stdout[-2_000:]}{done.stderr[-2_000:]}"


def _copy(sources: Sequence[str], target: Path) -> None:
    """Copy as COPY does: files into a directory, of a directory what is in it."""
    for source in (REPOSITORY / each for each in sources):
        if source.is_dir():
            copytree(source, target, dirs_exist_ok=True, ignore=ignore_patterns("__pycache__"))
        else:
            copy(source, target)
