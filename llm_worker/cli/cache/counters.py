"""What a running worker has counted of its cache, as its own /metrics tell."""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final
from urllib.error import URLError

from prometheus_client.parser import text_string_to_metric_families

from llm_worker.adapters.telemetry import catalog, gauges
from llm_worker.dev.leashed import ask_directly
from llm_worker.domain.cached import CacheTier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.adapters.telemetry.metric import Metric

    Counters = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
    """The samples, by name and labels."""

_PATIENCE_S: Final = 3.0
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


def read_counters(host: str, port: int) -> Counters | str:
    """Ask the worker that answers there; without one, say so in words."""
    if port == 0:
        return "LLM_WORKER_WEB__PORT is 0: no worker can be found to ask what it counted"
    host = _EVERY_ADDRESS.get(host, host)
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        with ask_directly(f"http://{at}/metrics", timeout=_PATIENCE_S) as answer:
            return parse_counters(answer.read().decode())
    except (URLError, HTTPException, OSError):
        return f"no worker answers at {at}, so what it counted is not known"
    except ValueError:
        return f"what answers at {at} is no worker"


def parse_counters(text: str) -> Counters:
    """Read metrics. Raises ValueError: they are not a worker's."""
    counters = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    if (gauges.CACHE_ENTRIES.name, frozenset()) not in counters:
        raise ValueError("metrics without those of a cache")
    return counters


def counted_by_tier(counters: Counters) -> dict[str, dict[str, Any]]:
    """Give what was counted, by tier; what never happened is 0."""

    def of(metric: Metric, **labels: str) -> float:
        return counters.get((metric.name, frozenset(labels.items())), 0.0)

    def lookups(tier: CacheTier) -> dict[str, Any]:
        return {
            "hits": int(of(catalog.CACHE_LOOKUPS, tier=tier, result="hit")),
            "misses": int(of(catalog.CACHE_LOOKUPS, tier=tier, result="miss")),
            # The worker adds floats up: what is beyond the twelfth place is theirs.
            "saved_usd": round(of(catalog.CACHE_SAVINGS, tier=tier), 12),
        }

    failures = (
        value for (name, _), value in counters.items() if name == catalog.REDIS_FAILURES.name
    )
    return {
        CacheTier.LOCAL: {
            **lookups(CacheTier.LOCAL),
            "verdicts": int(of(gauges.CACHE_ENTRIES)),
            "bytes": int(of(gauges.CACHE_BYTES)),
            "evictions": int(of(catalog.CACHE_EVICTIONS)),
        },
        CacheTier.REDIS: {**lookups(CacheTier.REDIS), "errors": int(sum(failures))},
    }
