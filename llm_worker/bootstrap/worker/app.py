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
from llm_worker.adapters.kafka.server import Site
from llm_worker.adapters.kafka.state import WorkerState
from llm_worker.adapters.web.bodies import MAX_BODY_BYTES
from llm_worker.adapters.web.guard import is_loopback
from llm_worker.adapters.web.page import page_routes
from llm_worker.adapters.web.site import furnish, refused
from llm_worker.application.backpressure import Backpressure
from llm_worker.application.pipeline import Pipeline
from llm_worker.application.publishing import Publishing
from llm_worker.bootstrap.cache.checks import cache_faults
from llm_worker.bootstrap.connection import kafka_options
from llm_worker.bootstrap.process import listen, persistently, run_app
from llm_worker.bootstrap.providers.routing import provider_warnings, routing_faults
from llm_worker.bootstrap.spend.spending import share_of
from llm_worker.bootstrap.worker.changes import apply_settings, window_of
from llm_worker.bootstrap.worker.hard_limits import build_budget
from llm_worker.bootstrap.worker.operations import build_comparing, worker_operations
from llm_worker.bootstrap.worker.orchestrator import build_orchestrator, probing
from llm_worker.bootstrap.worker.overview import Overview
from llm_worker.bootstrap.worker.parts import build_parts
from llm_worker.bootstrap.worker.probe import WorkerProbe
from llm_worker.contracts.vocabulary import Lane, TopicName
from llm_worker.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from aiohttp.web import Application

    from llm_worker.adapters.cache.budget import HardBudget
    from llm_worker.application.orchestrator import Orchestrator
    from llm_worker.application.ports import ReplyTopics
    from llm_worker.bootstrap.web.comparing import Comparing
    from llm_worker.bootstrap.worker.parts import WorkerParts
    from llm_worker.settings import Settings

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
        closing=lambda: _close(parts, budget, comparing),
        furnish=lambda application: furnish(
            application,
            worker_operations(settings, parts, probe, orchestrator, comparing, overview.state),
            pages=page_routes(),
            is_local=is_loopback(settings.web.host),
            on_fault=partial(parts.telemetry.faulted, None),
        ),
    )
    reply_topics = _reply_topics(settings, parts)
    comparing = build_comparing(settings, parts, reply_topics)
    budget = build_budget(settings, parts, share=lambda: share_of(app, parts.topics))
    orchestrator = build_orchestrator(settings, app, parts, budget)
    in_flight = InFlight(
        work=_pipeline(settings, parts, orchestrator, reply_topics),
        acks=app,
        window=window_of(settings),
        clock=parts.clock,
        telemetry=parts.telemetry,
    )
    _follow_settings(settings, parts, orchestrator, in_flight)
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
        environment=settings.environment,
    )
    overview = Overview(settings, probe)
    consume_lanes(
        app, topics=parts.topics, in_flight=in_flight, may_pull=_may_pull(parts, backpressure)
    )
    app.on_partitions_assigned.connect(in_flight.reopen)
    beside = (state.watch, *overview.tasks(), *_probing(settings, app, orchestrator))
    _run_beside(app, parts, beside)
    for words in provider_warnings(settings):
        _log.warning("provider_left_out", why=words)
    return app


def _run_beside(
    app: DeliveryApp, parts: WorkerParts, tasks: Iterable[Callable[[], Awaitable[None]]]
) -> None:
    """Run tasks for as long as the app, and follow what other processes publish."""
    followers = (partial(persistently, app, follow) for follow in parts.spending.followed)
    for task in (parts.memory.keep_present, *followers, *tasks):
        app.task(task)


def _follow_settings(
    settings: Settings, parts: WorkerParts, orchestrator: Orchestrator, in_flight: InFlight
) -> None:
    apply = partial(apply_settings, parts=parts, orchestrator=orchestrator, in_flight=in_flight)
    apply(settings)
    parts.spending.runtime.on_change = apply


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
    furnish: Callable[[Application], None],
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
        site=Site(
            listener=listen(
                settings, settings.web.port, port_setting="LLM_WORKER_WEB__PORT (--web-port)"
            ),
            furnish=furnish,
            refuse=refused,
        ),
        web_application_options={"client_max_size": MAX_BODY_BYTES},
    )


async def _close(parts: WorkerParts, budget: HardBudget, comparing: Comparing) -> None:
    await comparing.aclose()
    await parts.aclose(budget)


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
        broker=parts.publisher.health,
        clock=parts.clock,
        request_deadline_s=settings.request_deadline_s,
        session_timeout_s=settings.kafka.session_timeout_s,
    )


def _reply_topics(settings: Settings, parts: WorkerParts) -> KafkaReplyTopics:
    default_reply_topic = parts.topics.on_broker(TopicName.COMPARISON_RESULT)
    return KafkaReplyTopics(
        patterns=settings.callback_patterns,
        forbidden=parts.topics.names_on_broker().keys() - {default_reply_topic},
        list_topics=parts.producers.topics,
        clock=parts.clock,
    )


def _pipeline(
    settings: Settings, parts: WorkerParts, orchestrator: Orchestrator, reply_topics: ReplyTopics
) -> Pipeline:
    topics, clock, telemetry = parts.topics, parts.clock, parts.telemetry
    codec = KafkaCodec(
        topics=topics,
        first_target=lambda: orchestrator.routes.first_target(),  # noqa: PLW0108 - the routes change
        clock=clock,
        longest_s=settings.request_deadline_s,
    )
    return Pipeline(
        codec=codec,
        orchestrator=orchestrator,
        outcomes=parts.memory.outcomes,
        publishing=Publishing(
            codec=codec, publisher=parts.publisher, telemetry=telemetry, tracing=parts.tracing
        ),
        reply_topics=reply_topics,
        clock=clock,
        telemetry=telemetry,
        tracing=parts.tracing,
    )
