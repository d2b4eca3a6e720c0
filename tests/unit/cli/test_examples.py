from __future__ import annotations

from pathlib import Path

from llm_worker.cli.request_file import read_lines

_REQUESTS = Path(__file__).parents[3] / "examples" / "requests.jsonl"


def test_example_requests_can_be_submitted() -> None:
    with _REQUESTS.open("rb") as source:
        requests = [line.request for line in read_lines(source, max_bytes=1_000_000)]
    assert len(requests) == 5
    assert [request.replicate for request in requests] == [0, 0, 0, 0, 1]
    assert requests[3].essay_a == requests[4].essay_a
