"""What is wrong with the settings of the cache, told at start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.adapters.cache.connect import connect
from llm_worker.bootstrap.cache.stores import redis_address
from llm_worker.bootstrap.connection import catalog
from llm_worker.contracts.vocabulary import REQUEST_TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.settings import Settings


def cache_faults(settings: Settings) -> Iterator[str]:
    """Say what keeps a worker from keeping its promises by these settings, each with its remedy."""
    yield from _retention_faults(settings)
    if settings.cache.redis_url.get_secret_value():
        try:
            connect(redis_address(settings), budget_s=1)
        except ValueError as error:
            yield f"LLM_WORKER_CACHE__REDIS_URL (or REDIS_URL): {error}: correct it"


def _retention_faults(settings: Settings) -> Iterator[str]:
    outcome_ttl_s, topics = settings.cache.outcome_ttl_s, catalog(settings)
    for name in REQUEST_TOPICS.values():
        longest_ms = topics[name].longest_ms()
        if longest_ms is None or longest_ms > outcome_ttl_s * 1000:
            kept = "for ever" if longest_ms is None else f"up to {longest_ms / 1000:.0f} s"
            yield (
                f"LLM_WORKER_CACHE__OUTCOME_TTL_S is {outcome_ttl_s} s, but by topics.yaml {name} "
                f"keeps a request {kept}, and it may come again so long: raise the first, or lower "
                "retention_ms or segment_ms"
            )
