"""Build the worker from its settings, and run it."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import TYPE_CHECKING, Any

import faust
import structlog
from typing_extensions import override

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.agent import consume_lanes
from llm_worker.adapters.kafka.app import DeliveryApp
from llm_worker.adapters.kafka.codec import KafkaCodec
from llm_worker.adapters.kafka.inflight import InFlight
from llm_worker.adapters.kafka.options import consumer_options, producer_line
from llm_worker.adapters.kafka.publisher import KafkaPublisher
from llm_worker.adapters.kafka.reply_topics import KafkaReplyTopics
from llm_worker.adapters.kafka.state import WorkerState
from llm_worker.adapters.telemetry.events import WorkerTelemetry
from llm_worker.adapters.telemetry.logging import setup_logging
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.adapters.web.health import health_routes
from llm_worker.application.backpressure import Backpressure
from llm_worker.application.pipeline import Pipeline
from llm_worker.application.publishing import Publishing
from llm_worker.application.slots import RunningSlots
from llm_worker.bootstrap.cache import build_memory
from llm_worker.bootstrap.cache_checks import cache_faults
from llm_worker.bootstrap.connection import catalog, kafka_options
from llm_worker.bootstrap.orchestrator import build_orchestrator, new_breaker, probing
from llm_worker.bootstrap.probe import WorkerProbe, left_out_providers
from llm_worker.bootstrap.routing import provider_warnings, routing_faults
from llm_worker.contracts.vocabulary import Lane, TopicName
from llm_worker.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiohttp.web import RouteDef

    from llm_worker.adapters.kafka.producers import ProducerLine
    from llm_worker.application.orchestrator import Orchestrator
    from llm_worker.application.ports import OutcomeStore
    from llm_worker.bootstrap.cache import Memory
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.breaker import CircuitBreaker
    from llm_worker.settings import Settings

WINDOW_PER_SLOT = 10
"""Unacked deliveries per running call: room for those that wait, and for those behind them."""
WINDOW_AT_MOST = 4_000
"""Unacked deliveries whatever the number of calls: one that waits takes about 23 kB."""
_log = structlog.get_logger(__name__)
_EXIT_GRACE_S = 45.0
_EXIT_FORCED = 75
_COLLECT_AFTER = 20_000


def load_worker_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of a worker, which needs somebody to ask.

    Raises:
        SettingsError: with all faults, also those of providers, routing and cache.
    """
    clock = SystemClock()
    return load_settings(
        environ,
        checks=lambda settings: (*routing_faults(settings, clock), *cache_faults(settings)),
    )


def run_worker(settings: Settings) -> int:
    """Run the worker until SIGTERM or SIGINT; give the exit code."""
    setup_logging(settings.log.level, settings.log.format)
    # What was imported lives for ever, and a comparison leaves no cycles: look for them rarely.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
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
    own, breaker = producer_line(kafka_options(settings)), new_breaker(settings)
    publisher = _publisher(settings, topics, own, breaker, metrics)
    app = _app(
        settings,
        drain=lambda is_last: in_flight.drain(settings.drain_s, is_last=is_last),
        closing=lambda: _close(publisher, orchestrator, memory),
        routes=lambda: health_routes(probe),
    )
    memory = build_memory(settings, clock, telemetry, metrics)
    orchestrator = build_orchestrator(settings, app, slots, memory.verdicts, clock, telemetry)
    pipeline = _pipeline(settings, topics, orchestrator, own, publisher, memory.outcomes)
    in_flight = InFlight(
        work=pipeline,
        acks=app,
        window=max(
            settings.max_in_flight, min(settings.max_in_flight * WINDOW_PER_SLOT, WINDOW_AT_MOST)
        ),
        clock=clock,
        telemetry=telemetry,
    )
    backpressure = Backpressure(
        board=orchestrator.board, patience_s=settings.request_deadline_s / 2, clock=clock
    )

    state = _state(settings, app, in_flight, publisher, topics, orchestrator, backpressure)
    probe = WorkerProbe(
        state=state,
        in_flight=in_flight,
        slots=slots,
        breaker=breaker,
        board=orchestrator.board,
        memory=memory,
        left_out=left_out_providers(settings),
        metrics_registry=metrics,
        environment=settings.environment,
    )
    consume_lanes(
        app, topics=topics, in_flight=in_flight, may_pull=_may_pull(publisher, backpressure)
    )
    app.on_partitions_assigned.connect(in_flight.reopen)
    for task in (state.watch, memory.keep_present, *_probing(settings, app, orchestrator)):
        app.task(task)
    for words in provider_warnings(settings):
        _log.warning("provider_left_out", why=words)
    return app


def _probing(
    settings: Settings, app: DeliveryApp, orchestrator: Orchestrator
) -> list[Callable[[], Awaitable[None]]]:
    interval_s = settings.health.probe_interval_s
    return [probing(app, orchestrator, interval_s)] if interval_s > 0 else []


def _publisher(
    settings: Settings,
    topics: TopicCatalog,
    own: ProducerLine,
    breaker: CircuitBreaker,
    metrics: Metrics,
) -> KafkaPublisher:
    return KafkaPublisher(
        own=own,
        foreign=producer_line(kafka_options(settings)),
        breaker=breaker,
        clock=SystemClock(),
        limits=topics.limits_on_broker(),
        on_retry=metrics.publish_retried,
    )


def _app(
    settings: Settings,
    *,
    drain: Callable[[bool], Awaitable[None]],
    closing: Callable[[], Awaitable[None]],
    routes: Callable[[], Sequence[RouteDef]],
) -> DeliveryApp:
    return DeliveryApp(
        settings.kafka.group,
        consumer_options=consumer_options(
            kafka_options(settings),
            session_timeout_s=settings.kafka.session_timeout_s,
            drain_s=settings.drain_s,
        ),
        drain=drain,
        closing=closing,
        routes=routes,
        web_bind=settings.web.host,
        web_port=settings.web.port,
    )


def _may_pull(
    publisher: KafkaPublisher, backpressure: Backpressure
) -> Callable[[Lane], Awaitable[None]]:
    async def until(lane: Lane) -> None:
        await publisher.ready()
        await backpressure.until_room(lane)

    return until


def _state(  # noqa: PLR0913, PLR0917 - it reads every moving part
    settings: Settings,
    app: DeliveryApp,
    in_flight: InFlight,
    publisher: KafkaPublisher,
    topics: TopicCatalog,
    orchestrator: Orchestrator,
    backpressure: Backpressure,
) -> WorkerState:
    return WorkerState(
        app=app,
        topics=topics,
        in_flight=in_flight,
        slots=orchestrator.slots,
        is_overloaded=backpressure.is_overloaded,
        publisher=publisher,
        clock=SystemClock(),
        request_deadline_s=settings.request_deadline_s,
        session_timeout_s=settings.kafka.session_timeout_s,
    )


async def _close(publisher: KafkaPublisher, orchestrator: Orchestrator, memory: Memory) -> None:
    await publisher.stop()
    await memory.aclose()
    await asyncio.gather(*(each.aclose() for each in orchestrator.board.providers.values()))


def _pipeline(
    settings: Settings,
    topics: TopicCatalog,
    orchestrator: Orchestrator,
    own: ProducerLine,
    publisher: KafkaPublisher,
    outcomes: OutcomeStore,
) -> Pipeline:
    clock, telemetry = orchestrator.clock, orchestrator.telemetry
    default_reply_topic = topics.on_broker(TopicName.COMPARISON_RESULT)
    codec = KafkaCodec(
        topics=topics,
        first_target=orchestrator.routes.first_target(),
        clock=clock,
        longest_s=settings.request_deadline_s,
    )
    return Pipeline(
        codec=codec,
        orchestrator=orchestrator,
        outcomes=outcomes,
        publishing=Publishing(codec=codec, publisher=publisher, telemetry=telemetry),
        reply_topics=KafkaReplyTopics(
            patterns=settings.callback_patterns,
            forbidden=topics.names_on_broker().keys() - {default_reply_topic},
            list_topics=own.topics,
            clock=clock,
        ),
        clock=clock,
        telemetry=telemetry,
    )
