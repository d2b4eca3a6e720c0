"""Redis as the measuring process uses it: to ask it, and to fill it."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from redis.client import Pipeline

_AT_ONCE = 10_000
_VALUE_BYTES = 400


def ask(url: str, *words: str | int) -> Any:  # noqa: ANN401 - Redis answers anything
    """Send one command over a connection of its own, and give the answer. It blocks."""
    with Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        return client.execute_command(*words)


def fill_with_verdicts(url: str, count: int) -> None:
    """Store so many values of a verdict's size under names like a verdict's. It blocks."""
    value = b"v" * _VALUE_BYTES
    with Redis.from_url(url) as client:
        for first in range(0, count, _AT_ONCE):
            pipeline: Pipeline = client.pipeline(transaction=False)
            for number in range(first, min(first + _AT_ONCE, count)):
                fingerprint = sha256(str(number).encode()).hexdigest()
                pipeline.set(f"llm-worker:verdict:{{{fingerprint}}}", value)
            pipeline.execute()


def calls_by_command(url: str) -> dict[str, int]:
    """Tell how often each command was called, those within scripts among them. It blocks."""
    with Redis.from_url(url) as client:
        stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}
