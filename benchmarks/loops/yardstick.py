"""How fast the core is now: the same small work again and again, beside the process under test.

A virtual machine's core may run at half its speed while a neighbour is busy. Figures are scaled by
what this work cost in the same seconds.
"""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

LAYOUT = struct.Struct("QQQ")
"""Times the work was done, nanoseconds of CPU that it took in all, and the fastest of them."""
_PAUSE_S = 0.05
_ROUNDS = 4_000


def _work() -> int:
    table = {}
    for number in range(_ROUNDS):
        table[number] = (number, str(number))
    return len(table)


def main() -> None:
    """Work until killed, and keep the book in the file that the command line names."""
    times, total_ns, fastest_ns = 0, 0, sys.maxsize
    with Path(sys.argv[1]).open("wb", buffering=0) as book:
        while True:
            before_ns = time.process_time_ns()
            _work()
            took_ns = time.process_time_ns() - before_ns
            times, total_ns = times + 1, total_ns + took_ns
            fastest_ns = min(fastest_ns, took_ns)
            book.seek(0)
            book.write(LAYOUT.pack(times, total_ns, fastest_ns))
            time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main()
