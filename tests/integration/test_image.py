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
from tests.support.dockerfile import ImageRoot, environment, stages, values
from tests.support.worker import WorkerProcess

if TYPE_CHECKING:
    from pathlib import Path

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
    return root


@pytest.mark.timeout(900)
async def test_worker_of_the_image_lives_passes_its_health_check_and_writes_nothing(
    image: ImageRoot, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    of_host = {"PATH": "", "PYTHONDONTWRITEBYTECODE": ""}  # nothing of it may help
    of_image = of_host | environment(_FINAL, of_host)
    given = {name: image.inside(value) for name, value in of_image.items()} | {
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


def _check_health(given: dict[str, str]) -> None:
    found = re.search(r"CMD (\[.+\])$", values(_FINAL, "HEALTHCHECK")[0])
    assert found
    subprocess.run(json.loads(found[1]), env=given, check=True, timeout=60)  # noqa: S603 - our own


def _files(image: ImageRoot) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in (image.directory / "opt").rglob("*")}
