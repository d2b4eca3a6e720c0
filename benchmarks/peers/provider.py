"""The compiled provider: built, run and looked at."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from benchmarks.subject import ROOT, SUBJECT_CORE
from llm_worker.dev.leashed import LeashedProcess, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT = ROOT / "build" / "peers"
API_KEY = "sk-fake"
_SOURCE = Path(__file__).with_name("provider.go")
_START_TIMEOUT_S, _STOP_TIMEOUT_S, _CALL_TIMEOUT_S = 10.0, 2.0, 10.0
_CONNECTIONS, _READ_BYTES = 50, 65_536


class Provider:
    """A running provider. Its methods block."""

    def __init__(self, port: int) -> None:
        self._port = port

    @property
    def base_url(self) -> str:
        """What a client of OpenAI's API is configured with."""
        return f"http://127.0.0.1:{self._port}/v1"

    def calls(self) -> int:
        """Count the calls so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/calls") as response:
            return int(response.read())

    def check(self, call: str) -> None:
        """Make a call with the official SDK; its body is given as JSON.

        Raises:
            ValueError: The answer is not the verdict.
        """
        import openai  # noqa: PLC0415 - heavy, and only a run asks

        with openai.OpenAI(base_url=self.base_url, api_key=API_KEY, max_retries=0) as client:
            completion = client.chat.completions.create(**orjson.loads(call))
        verdict = orjson.loads(completion.choices[0].message.content or "null")
        if verdict["winner"] != "Essay A" or completion.usage is None:
            raise ValueError("the provider's answer is no verdict with its usage")

    def calls_per_s(self, call: str, *, seconds: float) -> float:
        """Say how many calls it answers from 50 connections on the other core, at the least.

        The caller, which is Python, is the slower one of the two.
        """
        body = call.encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}"
        sent = f"{head}\r\n\r\n".encode() + body
        here = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {SUBJECT_CORE})
        try:
            with ExitStack() as stack:
                sockets = [
                    stack.enter_context(
                        socket.create_connection(("127.0.0.1", self._port), _CALL_TIMEOUT_S)
                    )
                    for _ in range(_CONNECTIONS)
                ]
                return _answered(sockets, sent, seconds) / seconds
        finally:
            os.sched_setaffinity(0, here)


@contextmanager
def running_provider(directory: Path) -> Iterator[Provider]:
    """Run it on the cores of this process; it ends with the context, or with this process."""
    [port] = free_ports(1)
    command = [str(_build()), str(port)]
    process = LeashedProcess(command, log=directory / "provider.log")
    try:
        process.wait_until_logged("answers at", timeout_s=_START_TIMEOUT_S)
        yield Provider(port)
    finally:
        process.stop(timeout_s=_STOP_TIMEOUT_S)


def _build() -> Path:
    """Compile it if it has changed: a minute the first time, with Go's own library."""
    binary = BUILT / "provider"
    if binary.exists() and binary.stat().st_mtime > _SOURCE.stat().st_mtime:
        return binary
    go = BUILT / "go"
    subprocess.run(  # noqa: S603 - our own command
        [str(go / "bin" / "go"), "build", "-o", str(binary), str(_SOURCE)],
        env={
            "PATH": os.defpath,
            "HOME": str(go),
            "GOCACHE": str(go / "cache"),
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "CGO_ENABLED": "0",
        },
        check=True,
    )
    return binary


def _answered(sockets: list[socket.socket], sent: bytes, seconds: float) -> int:
    answered, due_s = 0, time.monotonic() + seconds
    while time.monotonic() < due_s:
        for each in sockets:
            each.sendall(sent)
        for each in sockets:
            while not each.recv(_READ_BYTES).endswith(b"}"):
                pass
        answered += len(sockets)
    return answered
