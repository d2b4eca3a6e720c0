"""A caller with many requests and a journal, as a process that a test may kill.

Arguments: bootstrap servers, topic prefix, number of requests, journal.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from llm_worker.client import ComparisonClient, new_request
from llm_worker.contracts.topics import load_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.contracts.request import LLMComparisonRequestV1


def _requests(count: int) -> Iterator[LLMComparisonRequestV1]:
    for number in range(count):
        yield new_request(f"Essay number {number}.", "It is as it is.", metadata={"n": number})


async def _run(servers: str, prefix: str, count: int, journal: str) -> None:
    given = []
    async with ComparisonClient(servers, load_topics(prefix), max_outstanding=500) as client:
        async for result in client.submit_many(_requests(count), journal=journal):
            assert result.error_detail is None, result.error_detail
            given.append(result.request_metadata["n"])
    print(json.dumps({"given": len(given), "distinct": len(set(given))}))  # noqa: T201 - its answer


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
