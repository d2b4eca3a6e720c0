"""A process that has imported `llm_worker` already: each command of a page is a fork of it.

Importing is most of what a short command costs, and the pages have many. A fork takes the command's
words, folder, environment and standard streams, runs what `llm-worker` runs, and gives its exit
code. It ends when the one that ordered it is gone.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import threading
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from llm_worker.__main__ import main as llm_worker
from llm_worker.cli.app import COMMANDS
from tests.docs.program import run_file

if TYPE_CHECKING:
    from collections.abc import Sequence

LISTENS: Final = "ready for commands"
_ALSO: Final = (
    "llm_worker.client",
    "llm_worker.bootstrap.providers.configured",
    "asyncio",
    "rich.table",
)
_STREAMS: Final = 3
_LENGTH_BYTES: Final = 8


def serve(name: str) -> None:
    """Answer at an address without a file, for ever."""
    for module in (*(module for module, _ in COMMANDS.values()), *_ALSO):
        import_module(module)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        print(LISTENS, flush=True)  # noqa: T201 - to whoever waits for it
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _carry_out(connection)
            connection.close()


def _carry_out(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(connection, _LENGTH_BYTES, _STREAMS)
    with connection.makefile("rb") as incoming:
        order: dict[str, Any] = json.loads(incoming.read(int.from_bytes(length)))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # Of those from before, one may remember that it could be sought in.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a stream, for good
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as above
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115 - as above
    os.chdir(order["folder"])
    os.environ.clear()  # noqa: TID251 - becomes that of the command
    os.environ.update(order["environment"])  # noqa: TID251 - as above
    threading.Thread(target=_end_with, args=[connection], daemon=True).start()
    code = _exit_code(order["words"])
    connection.sendall(bytes([code]))
    os._exit(code)


def _end_with(connection: socket.socket) -> None:
    connection.recv(1)  # nothing is ever sent: it returns once the other side is gone
    os._exit(1)


def _exit_code(words: Sequence[str]) -> int:
    sys.argv = list(words)
    try:
        if words[0] == "llm-worker":
            llm_worker()
        else:
            run_file(words[1])
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            return ending.code or 0
        sys.stderr.write(f"{ending.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 - as the interpreter does it
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
