"""Lua scripts that run in Redis, as they ship beside this module."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A Lua script that touches one key, or keys with one hash tag; `sha` is its text's SHA-1."""

    name: str
    text: str
    sha: str


def load_script(name: str) -> Script:
    """Read `scripts/<name>.lua`."""
    path = files("llm_worker.adapters.cache") / "scripts" / f"{name}.lua"
    return script_of(name, path.read_text(encoding="utf-8"))


def script_of(name: str, text: str) -> Script:
    """Make a script of its text."""
    # Redis names scripts so; nothing is signed with it.
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name=name, text=text, sha=sha)
