"""A command whose standard input is a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

_TIMEOUT_S = 60


def run_at_a_terminal(*words: str, answer: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run `llm-worker` with a person who has typed the answer."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "llm_worker", *words],
            stdin=theirs,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    finally:
        os.close(ours)
        os.close(theirs)
