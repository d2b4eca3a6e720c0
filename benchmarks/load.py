"""Requests as a caller writes them."""

from __future__ import annotations

from uuid import uuid4

import orjson

_WORDS = (
    "The library should stay open at night because many students work during the day and need "
    "a quiet place that is safe, warm and well lit when their flats are crowded and loud. "
)


def request(
    essay_bytes: int, *, question: str | None = None, cache_mode: str = "use"
) -> tuple[bytes, bytes]:
    """Write a request of two essays of so many bytes; give the record's key and value.

    Those with the same `question` ask the same; without one, a request asks what no other does.
    """
    correlation_id = str(uuid4())
    words = _WORDS * (essay_bytes // len(_WORDS) + 1)
    essay = f"{question or correlation_id}. {words}"[:essay_bytes]
    envelope = {
        "event_id": str(uuid4()),
        "event_type": "huleedu.llm_provider.comparison_requested.v1",
        "event_timestamp": "2026-11-23T10:00:00Z",
        "source_service": "benchmark",
        "schema_version": 1,
        "correlation_id": correlation_id,
        "data": {
            "user_prompt": "Which essay argues its case better? Judge content before style.",
            "essay_a": essay,
            "essay_b": essay[::-1],
            "user_id": "user-17",
            "organization_id": "school-3",
            "cache_mode": cache_mode,
            "metadata": {"essay_a_id": "17-a", "essay_b_id": "17-b", "batch": "2026-11"},
        },
    }
    return correlation_id.encode(), orjson.dumps(envelope)
