from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.support.dockerfile import DOCKERFILE, REPOSITORY, stages, values

_BASE, _BUILD, _FINAL = stages()
_STEPS = [step for run in values(_BUILD, "RUN") for step in run.split("&&")]


def test_dockerfile_is_clean_of_lint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(  # noqa: S603 - the linter of our own environment
        [hadolint, DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_stages_have_one_base_of_one_version() -> None:
    [image, name] = values(_BASE, "FROM")[0].split(" AS ")
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", image)
    assert values(_BUILD, "FROM") == [f"{name} AS build"]
    assert values(_FINAL, "FROM") == [name]


def test_what_comes_from_the_index_is_locked_with_hashes_and_needs_no_compiler() -> None:
    *from_index, our_wheel = [step for step in _STEPS if " install " in step]
    [wheel] = [step for step in _STEPS if " wheel " in step]
    assert from_index
    for install in from_index:
        assert "--require-hashes" in install
        assert "--only-binary :all:" in install
    assert "--no-index" in our_wheel
    assert "--no-build-isolation" in wheel
    assert all("--no-deps" in step for step in (wheel, our_wheel))


def test_final_stage_installs_nothing_and_copies_the_environment_alone() -> None:
    assert values(_FINAL, "COPY") == ["--from=build /opt/llm-worker /opt/llm-worker"]
    assert not any(" install " in run for run in values(_FINAL, "RUN"))


def test_image_runs_without_root_under_the_number_that_it_makes() -> None:
    [made] = values(_FINAL, "RUN")
    assert values(_FINAL, "USER") == ["10001:10001"]
    assert "useradd --uid 10001 " in made


def test_image_writes_no_bytecode_while_it_runs() -> None:
    assert "PYTHONDONTWRITEBYTECODE=1" in values(_FINAL, "ENV")[0].split()


def test_image_asks_for_liveness_alone_and_stops_by_draining() -> None:
    [check] = values(_FINAL, "HEALTHCHECK")
    assert "/livez" in check
    assert values(_FINAL, "STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(values(_FINAL, "ENTRYPOINT")[0]) == ["llm-worker"]


def test_image_says_of_which_version_it_is() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    [labels] = values(_FINAL, "LABEL")
    for label in ("title", "name"), ("version", "version"), ("licenses", "license"):
        assert f'org.opencontainers.image.{label[0]}="{project[label[1]]}"' in labels


def test_what_is_copied_is_what_dockerignore_lets_through() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
    let_through = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {source for copy in values(_BUILD, "COPY") for source in copy.split()[:-1]}
    assert copied == let_through
    assert all((REPOSITORY / source).exists() for source in copied)
