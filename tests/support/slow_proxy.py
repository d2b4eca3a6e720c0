"""A TCP proxy on the loopback interface that delays what passes, or cuts the connection."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self


class SlowProxy:
    """Stands before a port; what it does can be changed at any time.

    Attributes:
        to_server_s: Seconds that each piece is held on its way there.
        to_client_s: Seconds that each piece is held on its way back.
        cuts_answers: Cut the connection instead of letting an answer pass: it was done, unheard.
    """

    def __init__(self, target_port: int) -> None:
        self.to_server_s = 0.0
        self.to_client_s = 0.0
        self.cuts_answers = False
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("it is not open yet")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Cut every connection."""
        for link in self._links:
            link.cancel()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.ensure_future(self._connect(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.shield(link)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        forth = asyncio.ensure_future(self._pump(reader, there[1], is_back=False))
        back = asyncio.ensure_future(self._pump(there[0], writer, is_back=True))
        try:
            await asyncio.wait((forth, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            forth.cancel()
            back.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)
            there[1].transport.abort()
            writer.transport.abort()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_back: bool
    ) -> None:
        while piece := await source.read(65_536):
            if is_back and self.cuts_answers:
                return
            delay_s = self.to_client_s if is_back else self.to_server_s
            if delay_s:
                await asyncio.sleep(delay_s)
            sink.write(piece)
            await sink.drain()
