"""Build the accountant from its settings, and run it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog
from faust.types import TP

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.app import DeliveryApp
from llm_worker.adapters.kafka.broker_health import BrokerHealth
from llm_worker.adapters.kafka.intake import BATCH, Intake, IntakeState, consume_sources
from llm_worker.adapters.kafka.options import TOGETHER, consumer_options, producer_line
from llm_worker.adapters.kafka.ownership import GroupOwnership
from llm_worker.adapters.kafka.publisher import KafkaPublisher
from llm_worker.adapters.kafka.server import Site
from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.adapters.telemetry.spend import SpendTelemetry
from llm_worker.adapters.web.guard import is_loopback
from llm_worker.adapters.web.health import health_operations
from llm_worker.adapters.web.site import furnish, refused
from llm_worker.adapters.web.usage import usage_operations
from llm_worker.application.accounting import JUDGE, Accounting
from llm_worker.application.publishing import Publishing
from llm_worker.application.verifying import verify
from llm_worker.bootstrap.accountant.probe import AccountantProbe
from llm_worker.bootstrap.connection import catalog, kafka_options
from llm_worker.bootstrap.process import listen, persistently, run_app
from llm_worker.bootstrap.providers.breaker import new_breaker, retune
from llm_worker.bootstrap.spend.reading import RecentTotals
from llm_worker.bootstrap.spend.spending import Spending
from llm_worker.contracts.documents.flows import Party
from llm_worker.contracts.rights import group_of
from llm_worker.domain.spend import COUNTED, Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from aiohttp.web import Application

    from llm_worker.bootstrap.spend.feed import SpendFeed
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.settings import Settings

_DRAIN_S: Final = 30.0
_log = structlog.get_logger("llm_worker")


def run_accountant(settings: Settings) -> int:
    """Run the accountant until SIGTERM or SIGINT; give the exit code."""
    return run_app(settings, build_accountant, drain_s=_DRAIN_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What does not know the app."""

    topics: TopicCatalog
    options: dict[str, Any]
    clock: SystemClock
    telemetry: SpendTelemetry
    codec: SpendCodec
    publisher: KafkaPublisher
    publishing: Publishing
    spending: Spending


def _parts(settings: Settings) -> _Parts:
    topics, options, clock = catalog(settings), kafka_options(settings), SystemClock()
    breaker, spending = new_breaker(settings), Spending(settings, topics, clock)
    spending.runtime.on_change = partial(retune, breaker)
    telemetry, codec = SpendTelemetry(), SpendCodec(topics)
    publisher = KafkaPublisher(
        own=producer_line(options),
        foreign=producer_line(options),
        health=BrokerHealth(breaker, clock),
        limits=topics.limits_on_broker(),
        on_retry=telemetry.publish_retried,
    )
    return _Parts(
        topics=topics,
        options=options,
        clock=clock,
        telemetry=telemetry,
        codec=codec,
        publisher=publisher,
        publishing=Publishing(codec=codec, publisher=publisher, telemetry=telemetry),
        spending=spending,
    )


def build_accountant(settings: Settings) -> DeliveryApp:
    """Wire the accountant. Nothing is opened before it runs."""
    parts = _parts(settings)
    feed = parts.spending.feed
    app = DeliveryApp(
        group_of(Party.ACCOUNTANT, settings.kafka.group),
        consumer_options=consumer_options(
            parts.options,
            session_timeout_s=settings.kafka.session_timeout_s,
            drain_s=_DRAIN_S,
            assignor=TOGETHER,
        ),
        drain=lambda _is_last: intake.drain(_DRAIN_S),
        closing=parts.publisher.stop,
        buffer=BATCH,
        site=_site(settings, lambda: (probe, feed)),
    )
    accounting = _accounting(settings, parts, app)
    intake = Intake(app, accounting, clock=parts.clock)
    state = IntakeState(
        app=app,
        broker=parts.publisher.health,
        clock=parts.clock,
        session_timeout_s=settings.kafka.session_timeout_s,
        intake=intake,
    )
    probe = AccountantProbe(
        state=state,
        accounting=accounting,
        feed=feed,
        telemetry=parts.telemetry,
        environment=settings.environment,
    )
    consume_sources(app, [parts.topics.on_broker(name) for name in COUNTED], intake)
    app.on_partitions_assigned.connect(intake.reopen)
    kept_up = (
        *parts.spending.followed,
        lambda: _keep_verifying(settings, parts, app, probe),
    )
    for task in (
        partial(_keep_booking, parts.spending, intake),
        state.watch,
        *(partial(persistently, app, each) for each in kept_up),
    ):
        app.task(task)
    return app


async def _keep_booking(spending: Spending, intake: Intake) -> None:
    # By limits that have been changed, an alert may not be raised that they would not have.
    await spending.until_read()
    await intake.keep_booking()


def _site(settings: Settings, parts: Callable[[], tuple[AccountantProbe, SpendFeed]]) -> Site:
    def furnished(application: Application) -> None:
        probe, feed = parts()
        furnish(
            application,
            (*health_operations(probe), *usage_operations(feed.usage)),
            is_local=is_loopback(settings.web.host),
            on_fault=lambda error: _log.error("fault", exc_info=error),
        )

    port = settings.web.accountant_port
    setting = "LLM_WORKER_WEB__ACCOUNTANT_PORT (--web-port)"
    listener = listen(settings, port, port_setting=setting)
    return Site(listener=listener, furnish=furnished, refuse=refused)


def _accounting(settings: Settings, parts: _Parts, app: DeliveryApp) -> Accounting:
    spending = parts.spending
    return Accounting(
        reader=parts.codec,
        history=spending.history,
        publishing=parts.publishing,
        ownership=GroupOwnership(
            app, session_timeout_s=settings.kafka.session_timeout_s, clock=parts.clock
        ),
        view=spending.feed.view,
        budgets=spending.budgets,
        clock=parts.clock,
        telemetry=parts.telemetry,
        spans=lambda: _spans(app, parts.topics),
        horizon_ms=spending.history.horizon_ms,
        window_ms=settings.accountant.window_s * 1000,
        owner=uuid4().hex,
    )


def _spans(app: DeliveryApp, topics: TopicCatalog) -> dict[Source, tuple[int, int | None]]:
    logical = topics.names_on_broker()
    return {Source(logical[tp.topic], tp.partition): span for tp, span in app.spans().items()}


def _is_first(app: DeliveryApp, parts: _Parts) -> bool:
    """Say whether we own the partition whose owner judges for all."""
    return TP(parts.topics.on_broker(JUDGE.topic), JUDGE.partition) in app.assigned()


async def _keep_verifying(
    settings: Settings, parts: _Parts, app: DeliveryApp, probe: AccountantProbe
) -> None:
    interval_s = settings.accountant.verify_interval_s
    while interval_s and not app.should_stop:
        await app.sleep(interval_s)
        if _is_first(app, parts):
            recent = RecentTotals(history=parts.spending.history, now=parts.clock.now())
            drifts = await verify(recent, parts.codec, horizon_ms=recent.history.horizon_ms)
            probe.verified(drifts)
