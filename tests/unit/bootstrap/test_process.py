"""How a process ends when something in it never does."""

from __future__ import annotations

import signal
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_HANGS = dedent("""
    import asyncio, sys
    import faust
    from llm_worker.bootstrap import process

    class Hanging(process._Process):
        async def start(self):
            self.install_signal_handlers()
            print("up", flush=True)
            if sys.argv[1] == "crash":
                raise RuntimeError("broken")
            await asyncio.Event().wait()

    async def hang(*_):
        await asyncio.Event().wait()

    process.faust.Worker.stop = hang
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = faust.App("x", loop=loop)
    Hanging(app, exit_within_s=0.2, loop=loop, quiet=True).execute_from_commandline()
""")


@pytest.mark.parametrize("way", ["signal", "crash"])
def test_process_that_hangs_while_it_stops_ends_by_force(way: str, tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", _HANGS, way], stdout=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        if way == "signal":
            process.send_signal(signal.SIGTERM)
        assert b"exit_forced" in process.stdout.read()
    assert process.returncode == 75
