"""Run a command that ends, at the latest, with the process that holds our standard input.

Runs as a file of its own (`python leash.py COMMAND...`), so it imports nothing but the standard
library. Each byte on standard input asks the command politely to end (SIGTERM); the end of
standard input, which the kernel brings about however our parent dies, kills it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_STDIN = 0


def main(command: list[str]) -> int:
    """Run the command and return its exit code, negative for a signal."""
    child = subprocess.Popen(  # noqa: S603 - the command comes from llm_worker.dev alone
        command,
        stdin=subprocess.DEVNULL,
        # This process has one thread when it forks, so neither of preexec_fn's caveats applies.
        preexec_fn=_die_with_the_leash if sys.platform == "linux" else None,  # noqa: PLW1509
    )
    threading.Thread(target=_obey_stdin, args=(child,), daemon=True).start()
    return child.wait()


def _obey_stdin(child: subprocess.Popen[bytes]) -> None:
    while os.read(_STDIN, 1):
        child.terminate()
    child.kill()


def _die_with_the_leash() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
