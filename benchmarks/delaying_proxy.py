"""A TCP proxy on the loopback interface behind which a server seems far away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self


class DelayingProxy:
    """Holds every piece back for `delay_s` on its way back, without holding up the next one."""

    def __init__(self, target_port: int) -> None:
        self.delay_s = 0.0
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        """Where it listens; it must be open."""
        if self._server is None:
            raise RuntimeError("it is not open")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for end in self._ends:
            end.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._target_port)
        ends = {writer, there[1]}
        self._ends |= ends
        await asyncio.gather(
            self._pump(reader, there[1], is_back=False), self._pump(there[0], writer, is_back=True)
        )
        self._ends -= ends

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_back: bool
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(65_536):
                if is_back and self.delay_s:
                    asyncio.get_running_loop().call_later(self.delay_s, sink.write, piece)
                else:
                    sink.write(piece)
        sink.close()
