"""Ask a web server for some paths in turn, and say how long each answer took, as JSON.

A process of its own, so that whoever makes the load does not make it wait.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from urllib.parse import urlsplit


def main() -> None:
    """Arguments: the address, how often, the paths. Gives milliseconds and bytes by path."""
    address, times, *paths = sys.argv[1:]
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    took_ms: dict[str, list[float]] = {path: [] for path in paths}
    sizes: dict[str, int] = {}
    for _ in range(int(times)):
        for path in paths:
            started_s = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            sizes[path] = len(answer.read())
            took_ms[path].append((time.perf_counter() - started_s) * 1000)
            if answer.status != http.client.OK:
                raise SystemExit(f"{path} answers {answer.status}")
            time.sleep(0.2)
    print(json.dumps({"took_ms": took_ms, "bytes": sizes}))  # noqa: T201 - read by who started us


if __name__ == "__main__":
    main()
