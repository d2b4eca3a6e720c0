"""Build the worker from its settings, and run it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.agent import consume_lanes
from llm_worker.adapters.kafka.app import DeliveryApp
from llm_worker.adapters.kafka.codec import KafkaCodec
from llm_worker.adapters.kafka.inflight import InFlight
from llm_worker.adapters.kafka.options import consumer_options
from llm_worker.adapters.kafka.reply_topics import KafkaReplyTopics
from llm_worker.adapters.kafka.state import WorkerState
from llm_worker.adapters.web.health import health_routes
from llm_worker.adapters.web.usage import usage_routes
from llm_worker.application.backpressure import Backpressure
from llm_worker.application.pipeline import Pipeline
from llm_worker.application.publishing import Publishing
from llm_worker.bootstrap.budget import build_budget
from llm_worker.bootstrap.cache_checks import cache_faults
from llm_worker.bootstrap.connection import kafka_options
from llm_worker.bootstrap.orchestrator import build_orchestrator, probing
from llm_worker.bootstrap.probe import WorkerProbe, left_out_providers
from llm_worker.bootstrap.process import persistently, run_app
from llm_worker.bootstrap.routing import provider_warnings, routing_faults
from llm_worker.bootstrap.spending import share_of
from llm_worker.bootstrap.worker_parts import build_parts
from llm_worker.contracts.vocabulary import Lane, TopicName
from llm_worker.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiohttp.web import RouteDef

    from llm_worker.application.orchestrator import Orchestrator
    from llm_worker.bootstrap.worker_parts import WorkerParts
    from llm_worker.settings import Settings

WINDOW_PER_SLOT = 10
"""Unacked deliveries per running call: room for those that wait, and for those behind them."""
WINDOW_AT_MOST = 4_000
"""Unacked deliveries whatever the number of calls: one that waits takes about 23 kB."""
_log = structlog.get_logger(__name__)


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
    return run_app(settings, build_worker, drain_s=settings.drain_s)


def build_worker(settings: Settings) -> DeliveryApp:
    """Wire the worker. Nothing is opened before it runs."""
    parts = build_parts(settings)
    app = _app(
        settings,
        drain=lambda is_last: in_flight.drain(settings.drain_s, is_last=is_last),
        closing=lambda: parts.aclose(budget),
        routes=lambda: (*health_routes(probe), *usage_routes(parts.spending.feed.usage)),
    )
    budget = build_budget(settings, parts, share=lambda: share_of(app, parts.topics))
    orchestrator = build_orchestrator(settings, app, parts, budget)
    in_flight = InFlight(
        work=_pipeline(settings, parts, orchestrator),
        acks=app,
        window=max(
            settings.max_in_flight, min(settings.max_in_flight * WINDOW_PER_SLOT, WINDOW_AT_MOST)
        ),
        clock=parts.clock,
        telemetry=parts.telemetry,
    )
    backpressure = Backpressure(
        board=orchestrator.board, patience_s=settings.request_deadline_s / 2, clock=parts.clock
    )
    state = _state(settings, parts, app, in_flight, backpressure)
    probe = WorkerProbe(
        state=state,
        in_flight=in_flight,
        parts=parts,
        board=orchestrator.board,
        budget=budget,
        left_out=left_out_providers(settings),
        environment=settings.environment,
    )
    consume_lanes(
        app, topics=parts.topics, in_flight=in_flight, may_pull=_may_pull(parts, backpressure)
    )
    app.on_partitions_assigned.connect(in_flight.reopen)
    followers = (partial(persistently, app, follow) for follow in parts.spending.followed)
    for task in (
        state.watch,
        parts.memory.keep_present,
        *followers,
        *_probing(settings, app, orchestrator),
    ):
        app.task(task)
    for words in provider_warnings(settings):
        _log.warning("provider_left_out", why=words)
    return app


def _probing(
    settings: Settings, app: DeliveryApp, orchestrator: Orchestrator
) -> list[Callable[[], Awaitable[None]]]:
    interval_s = settings.health.probe_interval_s
    return [probing(app, orchestrator, interval_s)] if interval_s > 0 else []


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


def _may_pull(parts: WorkerParts, backpressure: Backpressure) -> Callable[[Lane], Awaitable[None]]:
    async def until(lane: Lane) -> None:
        await parts.spending.until_read()
        await parts.publisher.ready()
        await backpressure.until_room(lane)

    return until


def _state(
    settings: Settings,
    parts: WorkerParts,
    app: DeliveryApp,
    in_flight: InFlight,
    backpressure: Backpressure,
) -> WorkerState:
    return WorkerState(
        app=app,
        topics=parts.topics,
        in_flight=in_flight,
        slots=parts.slots,
        is_overloaded=backpressure.is_overloaded,
        publisher=parts.publisher,
        clock=parts.clock,
        request_deadline_s=settings.request_deadline_s,
        session_timeout_s=settings.kafka.session_timeout_s,
    )


def _pipeline(settings: Settings, parts: WorkerParts, orchestrator: Orchestrator) -> Pipeline:
    topics, clock, telemetry = parts.topics, parts.clock, parts.telemetry
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
        outcomes=parts.memory.outcomes,
        publishing=Publishing(codec=codec, publisher=parts.publisher, telemetry=telemetry),
        reply_topics=KafkaReplyTopics(
            patterns=settings.callback_patterns,
            forbidden=topics.names_on_broker().keys() - {default_reply_topic},
            list_topics=parts.producers.topics,
            clock=clock,
        ),
        clock=clock,
        telemetry=telemetry,
    )
