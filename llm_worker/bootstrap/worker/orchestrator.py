"""From settings to what resolves requests: providers, their limits and breakers, the routing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.adapters.kafka.ownership import GroupOwnership
from llm_worker.application.bell import Bell
from llm_worker.application.buyer import Buyer
from llm_worker.application.orchestrator import Orchestrator
from llm_worker.application.prober import Prober
from llm_worker.application.purchases import Purchases
from llm_worker.application.switchboard import Switchboard
from llm_worker.bootstrap.providers.breaker import new_breaker
from llm_worker.bootstrap.providers.configured import (
    limits_of,
    own_settings,
)
from llm_worker.bootstrap.providers.retries import backoff_of
from llm_worker.bootstrap.providers.routing import build_routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.application.ports import Budget
    from llm_worker.bootstrap.worker.parts import WorkerParts
    from llm_worker.settings import Settings


def build_orchestrator(
    settings: Settings, app: DeliveryApp, parts: WorkerParts, budget: Budget
) -> Orchestrator:
    """Wire what resolves requests, for the settings that the worker starts with.

    Nothing is opened before the first call.
    """
    providers, clock, telemetry = parts.providers, parts.clock, parts.telemetry
    board = Switchboard(
        providers=providers,
        limits={name: limits_of(settings, name) for name in providers},
        weights={name: own_settings(settings, name).weight for name in providers},
        new_breaker=lambda: new_breaker(parts.spending.runtime.settings),
        clock=clock,
        telemetry=telemetry,
    )
    return Orchestrator(
        routes=build_routes(settings, providers),
        board=board,
        attempts_at_most=settings.retry.attempts,
        backoff=backoff_of(settings),
        slots=parts.slots,
        buyer=Buyer(
            providers=providers,
            board=board,
            ownership=GroupOwnership(
                app, session_timeout_s=settings.kafka.session_timeout_s, clock=clock
            ),
            budget=budget,
            clock=clock,
            telemetry=telemetry,
            tracing=parts.tracing,
        ),
        purchases=Purchases(cache=parts.memory.verdicts, bell=Bell()),
        clock=clock,
        telemetry=telemetry,
        tracing=parts.tracing,
    )


def probing(
    app: DeliveryApp, orchestrator: Orchestrator, interval_s: float
) -> Callable[[], Awaitable[None]]:
    """Give the task that probes idle and troubled providers until the app ends."""
    prober = Prober(
        providers=orchestrator.board.providers,
        board=orchestrator.board,
        interval_s=interval_s,
        telemetry=orchestrator.telemetry,
    )

    async def probe_for_ever() -> None:
        while not app.should_stop:
            await app.sleep(interval_s)
            await prober.probe_all()

    return probe_for_ever
