from __future__ import annotations

from dataclasses import replace

import pytest

from llm_worker.domain.health import (
    CacheFacts,
    Facts,
    HealthStatus,
    KafkaFacts,
    ProviderFacts,
    judge,
)

_KAFKA = KafkaFacts(
    assigned_partitions=12,
    rebalancing=False,
    draining=False,
    publisher_available=True,
    last_broker_contact_age_s=1.0,
    oldest_delivery_overdue_s=0.0,
)
_USABLE = ProviderFacts(enabled=True, configured=True, circuit_breaker_state="closed")
_OPEN = replace(_USABLE, circuit_breaker_state="open")
_OFF = replace(_USABLE, enabled=False)
_UNCONFIGURED = replace(_USABLE, configured=False)


def _facts(
    kafka: KafkaFacts = _KAFKA, loop_lag_s: float = 0.0, **providers: ProviderFacts
) -> Facts:
    return Facts(
        version="0",
        environment="test",
        loop_lag_s=loop_lag_s,
        kafka=kafka,
        providers=providers or {"mock": _USABLE},
    )


def test_health_names_the_service_that_it_is_of() -> None:
    assert judge(replace(_facts(), service="llm-worker-accountant")).service == (
        "llm-worker-accountant"
    )


def test_worker_with_nothing_amiss_is_healthy_and_ready() -> None:
    health = judge(_facts())
    assert health.status is HealthStatus.HEALTHY
    assert health.warnings == ()
    assert health.is_ready
    assert health.facts.cache.cache_mode == "local"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (_facts(replace(_KAFKA, last_broker_contact_age_s=None)), "has answered yet"),
        (_facts(replace(_KAFKA, last_broker_contact_age_s=30)), "answered for 30 s"),
        (_facts(replace(_KAFKA, oldest_delivery_overdue_s=60)), "stuck, 60 s past"),
        (_facts(mock=_OPEN), "no provider can be called"),
        (_facts(mock=_OFF, openai=_UNCONFIGURED), "no provider can be called"),
    ],
)
def test_worker_that_can_answer_nobody_is_unhealthy(facts: Facts, words: str) -> None:
    health = judge(facts)
    assert health.status is HealthStatus.UNHEALTHY
    assert words in health.warnings[0]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (_facts(replace(_KAFKA, publisher_available=False)), "publishing to Kafka fails"),
        (_facts(mock=_USABLE, openai=_OPEN), "provider openai: its circuit breaker is open"),
        (_facts(mock=_USABLE, openai=_UNCONFIGURED), "openai is enabled and not configured"),
        (_facts(loop_lag_s=1.0), "the event loop is 1.0 s late"),
        (
            replace(_facts(), cache=CacheFacts(cache_mode="redis", redis_failure_count=3)),
            "Redis does not answer",
        ),
    ],
)
def test_worker_with_something_amiss_is_degraded(facts: Facts, words: str) -> None:
    health = judge(facts)
    assert health.status is HealthStatus.DEGRADED
    [warning] = health.warnings
    assert words in warning


@pytest.mark.parametrize(
    "facts",
    [
        _facts(replace(_KAFKA, last_broker_contact_age_s=29, oldest_delivery_overdue_s=59)),
        _facts(loop_lag_s=0.9),
        _facts(mock=_USABLE, openai=_OFF),
        _facts(mock=replace(_USABLE, circuit_breaker_state="half_open")),
    ],
)
def test_what_is_within_bounds_is_no_warning(facts: Facts) -> None:
    assert judge(facts).status is HealthStatus.HEALTHY


@pytest.mark.parametrize(
    ("kafka", "words"),
    [
        (replace(_KAFKA, assigned_partitions=0), "no partition is assigned"),
        (replace(_KAFKA, rebalancing=True), "rebalancing"),
        (replace(_KAFKA, draining=True), "draining"),
    ],
)
def test_worker_that_should_get_no_work_says_why(kafka: KafkaFacts, words: str) -> None:
    health = judge(_facts(kafka))
    assert not health.is_ready
    [reason] = health.not_ready_because
    assert words in reason
    assert health.status is HealthStatus.HEALTHY
