"""The yardstick's book, as the measuring process reads it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.loops.yardstick import LAYOUT
from benchmarks.subject import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_CALIBRATE_S = 3.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of the book: see benchmarks/loops/yardstick.py."""

    times: int
    total_ns: int
    fastest_ns: int

    def slowness_since(self, earlier: Mark) -> float:
        """How much slower than at its fastest the core was since then; 1 is full speed."""
        times = self.times - earlier.times
        return (self.total_ns - earlier.total_ns) / times / self.fastest_ns if times else 1.0


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Runs on the core of the process under test, 1 or 2 % of it."""

    book: Path

    def read(self) -> Mark:
        """Read the book."""
        return Mark(*LAYOUT.unpack(self.book.read_bytes()))


@asynccontextmanager
async def yardstick_in(directory: Path) -> AsyncIterator[Yardstick]:
    """Run the yardstick, and let it find out how fast the core can be."""
    book = directory / "yardstick"
    log = book.with_suffix(".log")
    with running("benchmarks.loops.yardstick", log=log, arguments=[str(book)]) as subject:
        await asyncio.sleep(_CALIBRATE_S)
        subject.check()
        yield Yardstick(book)
