"""The parts of a worker that know neither its app nor one another."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.broker_health import BrokerHealth
from llm_worker.adapters.kafka.options import producer_line
from llm_worker.adapters.kafka.publisher import KafkaPublisher
from llm_worker.adapters.telemetry.events import WorkerTelemetry
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.application.slots import RunningSlots
from llm_worker.bootstrap.cache.stores import build_memory
from llm_worker.bootstrap.connection import catalog, kafka_options
from llm_worker.bootstrap.providers.breaker import new_breaker
from llm_worker.bootstrap.providers.configured import build_providers
from llm_worker.bootstrap.providers.routing import runtime_checks
from llm_worker.bootstrap.spend.spending import Spending
from llm_worker.bootstrap.tracing import build_tracing
from llm_worker.contracts.vocabulary import Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.adapters.cache.budget import HardBudget
    from llm_worker.adapters.kafka.producers import ProducerLine
    from llm_worker.application.ports import Provider
    from llm_worker.application.tracing import Tracing
    from llm_worker.bootstrap.cache.stores import Memory
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.breaker import CircuitBreaker
    from llm_worker.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What is made once; `producers` and `breaker` are the publisher's and its health's own."""

    clock: SystemClock
    topics: TopicCatalog
    metrics: Metrics
    telemetry: WorkerTelemetry
    tracing: Tracing
    slots: RunningSlots
    producers: ProducerLine
    breaker: CircuitBreaker
    publisher: KafkaPublisher
    memory: Memory
    providers: Mapping[ProviderName, Provider]
    spending: Spending

    async def aclose(self, budget: HardBudget) -> None:
        """Close what was opened, the budget before the way to Redis that it uses."""
        async with AsyncExitStack() as closing:  # in reverse, each whatever another meets
            closing.push_async_callback(self.tracing.aclose)
            for provider in self.providers.values():
                closing.push_async_callback(provider.aclose)
            closing.push_async_callback(self.memory.aclose)
            closing.push_async_callback(budget.aclose)
            closing.push_async_callback(self.publisher.stop)


def build_parts(settings: Settings) -> WorkerParts:
    """Make the parts. Nothing is opened before the worker runs."""
    clock, topics, metrics = SystemClock(), catalog(settings), Metrics()
    telemetry = WorkerTelemetry(metrics, clock)
    producers, breaker = producer_line(kafka_options(settings)), new_breaker(settings)
    providers = build_providers(settings, clock)
    return WorkerParts(
        clock=clock,
        topics=topics,
        metrics=metrics,
        telemetry=telemetry,
        tracing=build_tracing(settings, providers.values()),
        slots=RunningSlots(settings.max_in_flight, tuple(Lane)),
        producers=producers,
        breaker=breaker,
        publisher=KafkaPublisher(
            own=producers,
            foreign=producer_line(kafka_options(settings)),
            health=BrokerHealth(breaker, clock),
            limits=topics.limits_on_broker(),
            on_retry=metrics.publish_retried,
        ),
        memory=build_memory(settings, clock, telemetry, metrics),
        providers=providers,
        spending=Spending(settings, topics, clock, checks=runtime_checks(clock)),
    )
