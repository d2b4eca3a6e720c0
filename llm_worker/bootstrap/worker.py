"""Build the worker from its settings, and run it."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import faust
from typing_extensions import override

from llm_worker.adapters.cache.local import LocalOutcomes
from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.agent import consume_lanes
from llm_worker.adapters.kafka.app import DeliveryApp
from llm_worker.adapters.kafka.codec import KafkaCodec
from llm_worker.adapters.kafka.inflight import InFlight
from llm_worker.adapters.kafka.options import consumer_options, producer_line
from llm_worker.adapters.kafka.ownership import GroupOwnership
from llm_worker.adapters.kafka.publisher import KafkaPublisher
from llm_worker.adapters.kafka.reply_topics import KafkaReplyTopics
from llm_worker.adapters.kafka.state import WorkerState
from llm_worker.adapters.providers.mock import MockBehaviour, MockProvider
from llm_worker.adapters.telemetry.events import WorkerTelemetry
from llm_worker.adapters.telemetry.logging import setup_logging
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.adapters.web.health import health_routes
from llm_worker.application.orchestrator import Orchestrator
from llm_worker.application.pipeline import Pipeline
from llm_worker.application.ports import NoBudget, NoCache
from llm_worker.application.slots import RunningSlots
from llm_worker.bootstrap.connection import catalog, kafka_options
from llm_worker.bootstrap.probe import WorkerProbe
from llm_worker.contracts.vocabulary import Lane, ProviderName, TopicName
from llm_worker.domain.breaker import CircuitBreaker

if TYPE_CHECKING:
    from llm_worker.settings import Settings

WINDOW_PER_SLOT = 10
"""Unacked deliveries per running call: room for those that wait, and for those behind them."""
OUTCOME_MEMORY_BYTES = 32 * 1024 * 1024
_EXIT_GRACE_S = 45.0
_EXIT_FORCED = 75


def run_worker(settings: Settings) -> int:
    """Run the worker until SIGTERM or SIGINT; give the exit code."""
    setup_logging(settings.log.level, settings.log.format)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = _Process(
        build_worker(settings),
        exit_within_s=settings.drain_s + _EXIT_GRACE_S,
        loop=loop,
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
    )
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        return int(end.code or 0)


class _Process(faust.Worker):
    """Faust's worker, whose exit nothing can hold up for ever."""

    def __init__(self, app: DeliveryApp, *, exit_within_s: float, **options: Any) -> None:  # noqa: ANN401 - Faust's
        self._exit_within_s = exit_within_s
        super().__init__(app, **options)
        self.spinner = None  # or it writes terminal codes into our stdout

    @override
    def _flag_as_shutdown_by_signal(self) -> None:
        super()._flag_as_shutdown_by_signal()
        # What is unacked comes again, so a process that hangs in a library may just end.
        last_resort = threading.Timer(self._exit_within_s, os._exit, (_EXIT_FORCED,))
        last_resort.daemon = True
        last_resort.start()


def build_worker(settings: Settings) -> DeliveryApp:
    """Wire the worker. Nothing is opened before it runs."""
    clock, topics, metrics = SystemClock(), catalog(settings), Metrics()
    telemetry = WorkerTelemetry(metrics, clock)
    slots = RunningSlots(settings.max_in_flight, tuple(Lane))
    own, foreign = producer_line(kafka_options(settings)), producer_line(kafka_options(settings))
    breaker = CircuitBreaker(
        failure_threshold=settings.breaker.failure_threshold,
        recovery_timeout_s=settings.breaker.recovery_timeout_s,
    )
    publisher = KafkaPublisher(
        own=own,
        foreign=foreign,
        breaker=breaker,
        clock=clock,
        limits={topics.on_broker(name): topics[name].max_message_bytes for name in TopicName},
        on_retry=metrics.publish_retried,
    )

    async def drain(is_last: bool) -> None:  # noqa: FBT001 - Faust hands over its own flag
        await in_flight.drain(settings.drain_s, is_last=is_last)

    app = DeliveryApp(
        settings.kafka.group,
        consumer_options=consumer_options(
            kafka_options(settings),
            session_timeout_s=settings.kafka.session_timeout_s,
            drain_s=settings.drain_s,
        ),
        drain=drain,
        closing=publisher.stop,
        routes=lambda: health_routes(probe),
        web_bind=settings.web.host,
        web_port=settings.web.port,
    )
    ownership = GroupOwnership(app, session_timeout_s=settings.kafka.session_timeout_s, clock=clock)
    orchestrator = Orchestrator(
        providers={ProviderName.MOCK: _mock(settings)},
        default_provider=ProviderName.MOCK,
        stand_in=ProviderName.MOCK if settings.use_mock_llm else None,
        slots=slots,
        ownership=ownership,
        cache=NoCache(),
        budget=NoBudget(),
        clock=clock,
        telemetry=telemetry,
    )
    pipeline = Pipeline(
        codec=KafkaCodec(
            topics=topics,
            first_target=orchestrator.first_target(),
            clock=clock,
            longest_s=settings.request_deadline_s,
        ),
        orchestrator=orchestrator,
        outcomes=LocalOutcomes(max_bytes=OUTCOME_MEMORY_BYTES),
        publisher=publisher,
        reply_topics=KafkaReplyTopics(
            patterns=settings.callback_patterns,
            forbidden=topics.names_on_broker().keys()
            - {topics.on_broker(TopicName.COMPARISON_RESULT)},
            list_topics=own.topics,
            clock=clock,
        ),
        clock=clock,
        telemetry=telemetry,
    )
    in_flight = InFlight(
        handle=pipeline.handle,
        acks=app,
        slots=slots,
        window=settings.max_in_flight * WINDOW_PER_SLOT,
        clock=clock,
        telemetry=telemetry,
    )
    state = WorkerState(
        app=app,
        topics=topics,
        in_flight=in_flight,
        slots=slots,
        publisher=publisher,
        clock=clock,
        request_deadline_s=settings.request_deadline_s,
        session_timeout_s=settings.kafka.session_timeout_s,
    )
    probe = WorkerProbe(
        state=state,
        in_flight=in_flight,
        slots=slots,
        breaker=breaker,
        metrics_registry=metrics,
        environment=settings.environment,
    )
    consume_lanes(app, topics=topics, in_flight=in_flight, may_pull=publisher.ready)
    app.on_partitions_assigned.connect(in_flight.reopen)
    app.task(state.watch)
    return app


def _mock(settings: Settings) -> MockProvider:
    mock = settings.providers.mock
    behaviour = MockBehaviour(
        seed=mock.seed,
        error_rate=mock.error_rate,
        malformed_rate=mock.malformed_rate,
        position_bias=mock.position_bias,
        latency_ms=mock.latency_ms,
        journal=mock.journal,
    )
    return MockProvider(behaviour, default_model=mock.default_model, timeout_s=mock.timeout_s)
