from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.site import WELL

if TYPE_CHECKING:
    from llm_worker.domain.health import Facts
    from tests.support.site import Client, FakeProbe, FakeSite

_SLOW = replace(WELL, loop_lag_s=2.0)
_STOPPING = replace(WELL, kafka=replace(WELL.kafka, draining=True))
_CUT_OFF = replace(WELL, kafka=replace(WELL.kafka, last_broker_contact_age_s=99.0))


@pytest.fixture
def worker(site: FakeSite) -> FakeProbe:
    return site.probe


async def test_livez_is_200_with_the_lag_whatever_is_wrong(
    client: Client, worker: FakeProbe
) -> None:
    worker.facts, worker.is_broken = replace(_CUT_OFF, loop_lag_s=3.5), True
    answer = await client.get("/livez")
    assert answer.status == 200
    assert await answer.json() == {"status": "alive", "event_loop_lag_s": 3.5}


async def test_readyz_is_200_when_work_may_come(client: Client) -> None:
    answer = await client.get("/readyz")
    assert answer.status == 200
    assert await answer.json() == {"ready": True, "reasons": []}


async def test_readyz_is_503_with_the_reasons(client: Client, worker: FakeProbe) -> None:
    worker.facts = _STOPPING
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert await answer.json() == {"ready": False, "reasons": ["draining: the process is stopping"]}


async def test_healthz_tells_all_that_the_contract_names(client: Client) -> None:
    answer = await client.get("/healthz")
    assert answer.status == 200
    assert answer.content_type == "application/json"
    assert await answer.json() == {
        "status": "healthy",
        "service": "llm-worker",
        "version": "1.2.3",
        "environment": "test",
        "dependencies": {
            "kafka": {
                "assigned_partitions": 12,
                "rebalancing": False,
                "draining": False,
                "publisher_available": True,
                "last_broker_contact_age_s": 1.0,
                "oldest_delivery_overdue_s": 0.0,
            },
            "redis": {"available": False},
            "cache": {
                "cache_mode": "local",
                "local_cache_available": True,
                "redis_available": False,
                "redis_failure_count": 0,
            },
        },
        "providers": {
            "mock": {"enabled": True, "configured": True, "circuit_breaker_state": "closed"}
        },
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("facts", "code", "status"),
    [(_SLOW, 200, "degraded"), (_CUT_OFF, 503, "unhealthy"), (_STOPPING, 200, "healthy")],
)
async def test_healthz_is_503_only_while_unhealthy(
    client: Client, worker: FakeProbe, facts: Facts, code: int, status: str
) -> None:
    worker.facts = facts
    answer = await client.get("/healthz")
    assert answer.status == code
    body = await answer.json()
    assert body["status"] == status
    assert bool(body["warnings"]) == (status != "healthy")


async def test_metrics_come_as_the_worker_renders_them(client: Client) -> None:
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=1.0.0; charset=utf-8"
    assert await answer.read() == b"llm_worker_x 1.0\n"
