"""What the Dockerfile installs, without Docker: its own steps, in a clean virtual environment.

Fetches from the package index what pip has not cached.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from llm_worker.dev.leashed import free_ports
from tests.support.deployment import version
from tests.support.dockerfile import ImageRoot, environment, stages, values
from tests.support.worker import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llm_worker.dev.cache import EmbeddedCache
    from llm_worker.dev.kafka import EmbeddedKafka

_BASE, _BUILD, _FINAL = stages()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> ImageRoot:
    """The root of the final stage, with this Python in the base image's place."""
    root = ImageRoot(tmp_path_factory.mktemp("image"))
    base = root.directory / "usr/local"
    subprocess.run([sys.executable, "-m", "venv", base], check=True, timeout=300)  # noqa: S603 - our own
    inherited = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - pip needs the host's certificates
        if not name.startswith("PYTHON")
    }
    variables = inherited | environment(_BUILD, inherited)
    variables["PATH"] = f"{base}/bin:{inherited['PATH']}"
    del variables["PIP_NO_CACHE_DIR"]  # an image must not carry the cache, this machine may
    root.build(_BUILD, variables)
    [final] = values(_FINAL, "RUN")
    for step in final.split("&&"):
        if "useradd" not in step:  # needs root
            root.run(step, variables)
    return root


@pytest.fixture
def of_image(image: ImageRoot, tmp_path: Path) -> dict[str, str]:
    """The environment of the image's processes. Nothing of this machine may help them."""
    of_host = {"PATH": "", "PYTHONDONTWRITEBYTECODE": ""}
    variables = of_host | environment(_FINAL, of_host) | {"HOME": str(tmp_path)}
    return {name: image.inside(value) for name, value in variables.items()}


@pytest.mark.timeout(900)
async def test_worker_of_the_image_lives_passes_its_health_check_and_writes_nothing(
    image: ImageRoot, of_image: dict[str, str], tmp_path: Path
) -> None:
    [port] = free_ports(1)
    given = of_image | {
        "LLM_WORKER_USE_MOCK_LLM": "true",
        "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",  # nobody: it waits for a broker
        "LLM_WORKER_CACHE__REDIS_URL": "",
        "LLM_WORKER_WEB__PORT": str(port),
    }
    before = _files(image)
    program, [command] = (json.loads(values(_FINAL, kind)[0]) for kind in ("ENTRYPOINT", "CMD"))
    worker = WorkerProcess(port, tmp_path / "worker.log", given, command, program)
    try:
        await worker.until_alive()
        _check_health(given)
    finally:
        worker.kill()
    assert _files(image) == before


@pytest.mark.timeout(900)
def test_image_has_no_installer(image: ImageRoot) -> None:
    kept = (image.directory / part for part in ("usr", "opt"))
    names = {path.name for part in kept for path in part.rglob("*")}
    assert not names & {"pip", "pip3", "setuptools", "wheel", "ensurepip"}
    assert "llm-worker" in names


@pytest.mark.timeout(900)
def test_commands_run_far_from_any_checkout(of_image: dict[str, str], tmp_path: Path) -> None:
    assert version() in _llm_worker(["--version"], of_image, tmp_path)
    _llm_worker(["schemas", "check"], of_image, tmp_path)
    topics = json.loads(_llm_worker(["topics", "list", "--json"], of_image, tmp_path))
    assert topics[0]["name"] == "comparison_requested"


@pytest.mark.timeout(900)
def test_doctor_finds_fault_with_nothing_at_all_and_none_once_servers_and_topics_are_there(
    of_image: dict[str, str], kafka: EmbeddedKafka, cache_server: EmbeddedCache, tmp_path: Path
) -> None:
    nobody = of_image | {
        "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "LLM_WORKER_CACHE__REDIS_URL": "redis://127.0.0.1:1/0",
    }
    findings = json.loads(_llm_worker(["doctor", "--json"], nobody, tmp_path, exit_code=1))
    assert {each["check"] for each in findings if each["level"] == "fault"} == {
        "broker",
        "providers",
    }
    servers = of_image | {
        "LLM_WORKER_USE_MOCK_LLM": "true",
        "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "LLM_WORKER_KAFKA__TOPIC_PREFIX": "image.",
        "LLM_WORKER_CACHE__REDIS_URL": cache_server.url,
    }
    _llm_worker(["topics", "create"], servers, tmp_path)
    _llm_worker(["doctor"], servers, tmp_path)


def _llm_worker(
    arguments: Sequence[str], given: dict[str, str], cwd: Path, exit_code: int = 0
) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        ["llm-worker", *arguments],  # noqa: S607 - the PATH of the image alone
        env=given,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == exit_code, done.stderr + done.stdout
    return done.stdout


def _check_health(given: dict[str, str]) -> None:
    found = re.search(r"CMD (\[.+\])$", values(_FINAL, "HEALTHCHECK")[0])
    assert found
    subprocess.run(json.loads(found[1]), env=given, check=True, timeout=60)  # noqa: S603 - our own


def _files(image: ImageRoot) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in (image.directory / "opt").rglob("*")}
