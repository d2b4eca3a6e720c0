"""What a loop without Kafka is told, and how it times itself and tells what it found."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from benchmarks.yardstick import Yardstick

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Self

    Times = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoloJob:
    """Time `times` pieces of each work a round, by the yardstick's book."""

    rounds: int
    times: int
    essay_bytes: int
    book: str
    found: str
    """File for what was found; it is there only when it is whole."""

    @classmethod
    def from_command_line(cls) -> Self:
        """Read the file that the command line names."""
        return cls(**orjson.loads(Path(sys.argv[1]).read_bytes()))

    def write(self, path: Path) -> None:
        """Write the file that `from_command_line` reads."""
        path.write_bytes(orjson.dumps(asdict(self)))

    async def cpu_us(self, work: Callable[[int], Awaitable[None]]) -> float:
        """Do `times` pieces; give the microseconds of CPU for one, on the core at its fastest."""
        yardstick = Yardstick(Path(self.book))
        mark, before_s = yardstick.read(), time.process_time()
        await work(self.times)
        spent_s = time.process_time() - before_s
        return spent_s / yardstick.read().slowness_since(mark) / self.times * 1e6

    def tell(self, rounds: Sequence[Mapping[str, Times]]) -> None:
        """Write down what was found, by the name of each piece of work, a round each."""
        found = Path(self.found)
        unfinished = found.with_suffix(".part")
        unfinished.write_bytes(orjson.dumps(rounds))
        unfinished.rename(found)
