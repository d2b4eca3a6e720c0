"""A hard limit under three workers at once: never overshot, and spent as far as it goes."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from llm_worker.contracts.vocabulary import ErrorCode, TopicName
from tests.chaos.harness import FULL, sized
from tests.chaos.watch import until
from tests.support.redis_servers import RedisServer, valkey_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario, Scenario

pytestmark = pytest.mark.timeout(3600 if FULL else 240)

_PRICED = {
    "providers__mock__output_usd_per_mtok": 1,
    "providers__mock__error_rate": 0,
    "providers__mock__latency_ms": 20,
    "budget__hard": "true",
}
_ASKED = {"llm_config_overrides": {"max_tokens_override": 200}}
_MOST_USD = Decimal("0.0002")
"""Of one call: 200 tokens."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", valkey_command()) as server:
        yield server


async def test_three_workers_spend_what_the_limit_allows_and_no_more(
    kafka: EmbeddedKafka, new_scenario: NewScenario, server: RedisServer
) -> None:
    requests = sized(small=600, full=2_000)
    limit = Decimal(requests) * Decimal("0.00001")
    async with new_scenario(
        "budget-race",
        bootstrap_servers=kafka.bootstrap_servers,
        budget__monthly_usd=limit,  # a day may end meanwhile
        # Whom Redis does not answer in time spends its share beside the others.
        cache__budget_ms=1_000,
        **_PRICED | {"cache__redis_url": server.url},
    ) as scenario:
        for _ in range(3):
            await scenario.start_worker()
        # What ends while an empty Redis is told what was spent may count twice.
        await scenario.load.send_many(1, **_ASKED)
        await until(
            lambda: server.ask("EXISTS", f"{scenario.catalog.prefix}{{budget}}:epoch"),
            timeout_s=30,
            what="Redis knows what was spent",
        )
        await scenario.load.send_many(requests, **_ASKED)
        report = await scenario.concluded()
    report.require(bought_twice=0)
    spent, refused = _spent(scenario), _refused(scenario)
    assert limit - _MOST_USD <= spent <= limit
    assert refused + report.calls == requests + 1, _codes(scenario)


async def test_limit_holds_although_redis_is_emptied_and_goes(
    kafka: EmbeddedKafka, new_scenario: NewScenario, server: RedisServer
) -> None:
    requests = sized(small=600, full=2_000)
    limit = Decimal(requests) * Decimal("0.00001")
    async with new_scenario(
        "budget-faults",
        bootstrap_servers=kafka.bootstrap_servers,
        budget__monthly_usd=limit,  # a day may end meanwhile
        **_PRICED | {"cache__redis_url": server.url},
    ) as scenario:
        workers = [await scenario.start_worker() for _ in range(2)]
        async with scenario.load.running(rate_per_s=100, at_least=requests, **_ASKED):
            await scenario.until_called_again(more=30)
            server.ask("FLUSHALL")
            await scenario.until_called_again(more=30)
            server.kill()
            await until(workers[0].is_degraded, timeout_s=30, what="Redis is missed")
            await scenario.until_called_again(more=10)
            server.start()
        report = await scenario.concluded()
    report.require(bought_twice=0)
    # What was set aside in each worker at the moment that Redis went.
    assert _spent(scenario) <= limit + 2 * _MOST_USD
    assert _refused(scenario)


def _spent(scenario: Scenario) -> Decimal:
    costs = {
        record.event_id: Decimal(str(record.envelope["data"]["cost_estimate_usd"]))
        for record in scenario.watch.seen
        if record.kind is TopicName.COST_TRACKING
    }
    return sum(costs.values(), Decimal(0))


def _refused(scenario: Scenario) -> int:
    return _codes(scenario)[ErrorCode.LLM_COST_LIMIT_EXCEEDED]


def _codes(scenario: Scenario) -> Counter[str]:
    details = (
        record.envelope["data"]["error_detail"]
        for record in scenario.watch.seen
        if record.kind is TopicName.COMPARISON_RESULT
    )
    return Counter(detail["error_code"] for detail in details if detail is not None)
