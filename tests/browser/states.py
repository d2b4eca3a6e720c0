"""What a worker tells of itself: each a new document of GET /api/v1/state, at one moment."""

from __future__ import annotations

from math import sin
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    State: TypeAlias = dict[str, Any]

NORMAL = "huleedu.llm_provider.comparison_requested.v1"
BULK = "huleedu.llm_provider.comparison_requested_bulk.v1"
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


def healthy() -> State:
    """Verdicts flow, and nothing is amiss."""
    return {
        "at": "2026-11-28T19:30:00Z",
        "service": {
            "name": "llm-worker",
            "version": "0.1.0",
            "environment": "production",
            "started_at": "2026-11-28T14:07:00Z",
            "uptime_s": 19380.4,
            "worker_id": "judge-1:7",
        },
        "health": {
            "status": "healthy",
            "since": "2026-11-28T14:07:12Z",
            "warnings": [],
            "ready": True,
            "not_ready_because": [],
        },
        "flow": {
            "verdicts_per_minute": 41.5,
            "failures_per_minute": 0.0,
            "running_calls": 37,
            "max_in_flight": 500,
            "in_hand": 52,
            "window": 4000,
            "oldest_s": 1.24,
            "duplicates_answered": 4,
            "lag": [_lag(NORMAL, "normal", 34, -12.0, 170.0), _lag(BULK, "bulk", 0, 0.0, 0.0)],
        },
        "kafka": {
            "last_contact_s": 0.4,
            "assigned_partitions": 12,
            "rebalancing": False,
            "draining": False,
            "publisher_available": True,
        },
        "workers": [
            _worker("judge-1:7", "10.0.0.1", [0, 1, 2], is_this=True),
            _worker("judge-2:7", "10.0.0.2", [3, 5], is_this=False),
        ],
        "providers": [
            provider("anthropic", "claude-haiku-4-5", cost="1.254300"),
            provider("openai", "gpt-5-mini", cost="0.310000"),
            _left_out("google"),
        ],
        "cache": {
            "mode": "redis",
            "redis_available": True,
            "redis_failures": 0,
            "lookups": 1204,
            "hits": 481,
            "hit_rate": 0.3995,
            "savings_usd": "0.62",
            "local_verdicts": 312,
            "local_bytes": 284_311,
        },
        "budget": {
            "known": True,
            "hard": True,
            "reserved_usd": "0.08",
            "today": _spend("2026-11-28", "1.5643", limit="10"),
            "month": _spend("2026-11", "41.07", limit="200"),
        },
        "failures": [failure(number) for number in range(2)],
        "settings": [
            _setting("max_in_flight", 500),
            _setting("providers.anthropic.api_key", "set"),
            _setting("breaker.failure_threshold", 3, changed_by="ops"),
        ],
        "history": {
            "step_s": 15,
            "until": "2026-11-28T19:30:00Z",
            "verdicts": [round(10 + 4 * sin(step / 9)) for step in range(240)],
            "failures": [1 if step in {80, 81, 190} else 0 for step in range(240)],
            "lag": [round(60 + 50 * sin(step / 25)) for step in range(240)],
            "running_calls": [round(40 + 12 * sin(step / 14)) for step in range(240)],
            "cost_usd": [round(0.004 + 0.002 * sin(step / 9), 6) for step in range(240)],
        },
    }


def degraded() -> State:
    """The queue grows, and the broker does not take what is published."""
    state = healthy()
    state["health"] |= {
        "status": "degraded",
        "since": "2026-11-28T19:12:03Z",
        "warnings": ["publishing to Kafka fails: no new request is taken until it works again"],
    }
    state["kafka"]["publisher_available"] = False
    state["flow"] |= {
        "failures_per_minute": 2.0,
        "lag": [_lag(NORMAL, "normal", 1, 5.0, None), _lag(BULK, "bulk", 90, None, None)],
    }
    return state


def provider_open() -> State:
    """The first provider's breaker is open; the second one is asked for less at once."""
    state = healthy()
    state["health"] |= {
        "status": "degraded",
        "since": "2026-11-28T19:12:03Z",
        "warnings": ["provider anthropic: its circuit breaker is open"],
    }
    broken, slowed, _ = state["providers"]
    broken |= {
        "breaker": "open",
        "breakers": [
            {"model": "claude-haiku-4-5", "state": "open", "since": "2026-11-28T19:12:03Z"}
        ],
        "success_rate": 0.62,
        "failures": 76,
        "in_flight": 0,
        "last_failure": "2026-11-28T19:29:41Z",
        "last_error": "503 overloaded: the service is temporarily unavailable",
    }
    slowed |= {"allowed": 20, "in_flight": 20, "waiting": 14, "requests_left": -3.0}
    slowed |= {"paused_s": 8.0, "unknown_costs_today": 2}
    state["failures"] = [failure(number) for number in range(8)]
    return state


def broker_gone() -> State:
    """Kafka was there, and is not any more."""
    state = healthy()
    state["health"] |= {
        "status": "unhealthy",
        "since": "2026-11-28T19:27:30Z",
        "warnings": ["no Kafka broker has answered for 150 s"],
        "ready": False,
        "not_ready_because": ["no partition is assigned"],
    }
    state["kafka"] |= {"last_contact_s": 150.2, "assigned_partitions": 0}
    state["workers"] = None
    state["flow"] |= {"verdicts_per_minute": 0.0, "lag": [], "in_hand": 3, "running_calls": 0}
    return state


def redis_gone() -> State:
    """Redis does not answer."""
    state = healthy()
    why = "Redis does not answer: what is done now is remembered by this process alone"
    state["health"] |= {"status": "degraded", "warnings": [f"{why} (17 failures)"]}
    state["cache"] |= {"redis_available": False, "redis_failures": 17}
    return state


def no_traffic() -> State:
    """A worker that has just started; nobody has asked for anything."""
    state = healthy()
    state["flow"] |= {
        "verdicts_per_minute": 0.0,
        "running_calls": 0,
        "in_hand": 0,
        "oldest_s": 0.0,
        "duplicates_answered": 0,
        "lag": [_lag(NORMAL, "normal", 0, None, 0.0)],
    }
    for each in state["providers"]:
        each.update(_UNTRIED)
    state["cache"] |= {"lookups": 0, "hits": 0, "hit_rate": None, "mode": "local"}
    state["budget"] |= {"hard": False, "today": _spend("2026-11-28", "0", limit=None)}
    state["failures"] = state["settings"] = []
    state["history"] |= {name: [] for name in ("verdicts", "failures", "lag", "running_calls")}
    state["history"]["cost_usd"] = []
    return state


def just_started() -> State:
    """No broker has answered yet, and nothing is known."""
    state = no_traffic()
    state["health"] |= {"status": "unhealthy", "warnings": ["no Kafka broker has answered yet"]}
    state["health"] |= {"ready": False, "not_ready_because": ["no partition is assigned"]}
    state["kafka"] |= {"last_contact_s": None, "assigned_partitions": 0}
    state["flow"] |= {"verdicts_per_minute": None, "failures_per_minute": None, "lag": []}
    state["budget"] |= {"known": False, "today": None, "month": None}
    state["workers"] = None
    for each in state["providers"]:
        each.update(cost_today_usd=None, unknown_costs_today=None)
    return state


def no_providers() -> State:
    """Nobody can be asked."""
    state = no_traffic()
    state["providers"] = []
    return state


def budget_over() -> State:
    """A hard limit of the day is spent."""
    state = healthy()
    state["budget"]["today"] |= {"cost_usd": "10.02", "unknown_costs": 3}
    state["budget"]["month"] |= {"cost_usd": "170.00"}
    return state


def hostile() -> State:
    """Whatever may come from outside holds markup."""
    state = provider_open()
    state["health"]["warnings"] = [HOSTILE]
    state["providers"][0] |= {"last_error": HOSTILE, "default_model": HOSTILE}
    state["failures"][0] |= {"model": HOSTILE, "correlation_id": HOSTILE}
    state["settings"] = [{**_setting("x", HOSTILE), "name": HOSTILE, "reason": HOSTILE}]
    state["workers"][0] |= {"id": HOSTILE, "partitions": {HOSTILE: [1]}}
    return state


STATES: dict[str, Callable[[], State]] = {
    each.__name__: each
    for each in (
        *(healthy, degraded, provider_open, broker_gone, redis_gone),
        *(no_traffic, just_started, no_providers, budget_over, hostile),
    )
}

_UNTRIED = {
    "success_rate": None,
    "attempts": 0,
    "failures": 0,
    "p50_response_ms": None,
    "p95_response_ms": None,
    "in_flight": 0,
    "last_success": None,
    "cost_today_usd": "0",
}


def provider(name: str, model: str, *, cost: str) -> State:
    """Give one that answers."""
    return {
        "name": name,
        "enabled": True,
        "configured": True,
        "remedy": None,
        "default_model": model,
        "breaker": "closed",
        "breakers": [],
        "success_rate": 0.995,
        "attempts": 200,
        "failures": 1,
        "p50_response_ms": 812,
        "p95_response_ms": 1904,
        "in_flight": 21,
        "waiting": 0,
        "allowed": 100,
        "max_in_flight": 100,
        "requests_per_minute": 500.0,
        "requests_left": 420.0,
        "tokens_per_minute": None,
        "tokens_left": None,
        "paused_s": 0.0,
        "last_success": "2026-11-28T19:29:59Z",
        "last_failure": None,
        "last_error": None,
        "cost_today_usd": cost,
        "unknown_costs_today": 0,
    }


def failure(number: int) -> State:
    """Give the one with this number; 0 is the newest."""
    return {
        "at": f"2026-11-28T19:{29 - number:02}:10Z",
        "kind": "rejected" if number % 3 == 1 else "failed",
        "error_code": "VALIDATION_ERROR" if number % 3 == 1 else "SERVICE_UNAVAILABLE",
        "correlation_id": None if number % 3 == 1 else str(UUID(int=2**127 + number)),
        "request_id": str(UUID(int=2**126 + number)),
        "provider": None if number % 3 == 1 else "anthropic",
        "model": None if number % 3 == 1 else "claude-haiku-4-5",
        "attempts": 0 if number % 3 == 1 else 4,
        "dead_letter": True,
    }


def _lag(
    topic: str, lane: str, records: int, per_minute: float | None, drains_in_s: float | None
) -> State:
    return {
        "topic": topic,
        "lane": lane,
        "partitions": 6,
        "records": records,
        "per_minute": per_minute,
        "drains_in_s": drains_in_s,
    }


def _worker(name: str, host: str, partitions: list[int], *, is_this: bool) -> State:
    return {
        "id": name,
        "host": host,
        "is_this": is_this,
        "partitions": {NORMAL: partitions, BULK: partitions},
    }


def _left_out(name: str) -> State:
    return {
        **provider(name, "gemini-3-flash", cost="0"),
        **_UNTRIED,
        "enabled": False,
        "configured": False,
        "remedy": "set GOOGLE_API_KEY",
    }


def _spend(period: str, cost: str, *, limit: str | None) -> State:
    return {
        "period": period,
        "requests": 1893,
        "failures": 21,
        "cost_usd": cost,
        "unknown_costs": 0,
        "savings_usd": "0.62",
        "limit_usd": limit,
    }


def _setting(name: str, value: Any, *, changed_by: str | None = None) -> State:  # noqa: ANN401 - any JSON
    return {
        "name": name,
        "value": value,
        "source": "control" if changed_by else "environment",
        "changed_by": changed_by,
        "changed_at": "2026-11-28T18:02:11Z" if changed_by else None,
        "reason": "a provider flaps" if changed_by else None,
    }
