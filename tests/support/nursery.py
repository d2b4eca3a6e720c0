"""Processes of ours, forked from one that has imported everything.

To import it all takes each process seconds of CPU, and the tests start a hundred.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

_nursery = multiprocessing.get_context("forkserver")
_nursery.set_forkserver_preload(
    ["llm_worker.bootstrap.worker.app", "llm_worker.bootstrap.accountant.app"]
)


def born(
    run: Callable[[Sequence[str]], int],
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
) -> tuple[ForkServerProcess, Connection]:
    """Start `run` in a process of its own, which ends when the leash is closed: with the tests.

    It works in the folder of its log, and knows no other environment.
    """
    leash, leash_end = _nursery.Pipe()
    child = _nursery.Process(
        target=_live, args=(run, arguments, dict(environment), log, leash_end), daemon=True
    )
    child.start()
    leash_end.close()
    return child, leash


def _live(
    run: Callable[[Sequence[str]], int],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    leash: Connection,
) -> NoReturn:
    os.environ.clear()  # noqa: TID251 - this process's own
    os.environ.update(environment)  # noqa: TID251 - the same
    os.chdir(log.parent)
    with log.open("wb") as output:
        for standard in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), standard.fileno())
    threading.Thread(target=_end_with_leash, args=[leash], daemon=True).start()
    sys.exit(run(arguments))


def _end_with_leash(leash: Connection) -> NoReturn:
    leash.poll(None)
    os._exit(99)
