"""From settings to the parts of a worker that runs: at its start, and when one changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llm_worker.bootstrap.providers.breaker import retune
from llm_worker.bootstrap.providers.configured import limits_of, usable_providers
from llm_worker.bootstrap.providers.retries import backoff_of
from llm_worker.bootstrap.providers.routing import build_routes

if TYPE_CHECKING:
    from llm_worker.adapters.kafka.inflight import InFlight
    from llm_worker.application.orchestrator import Orchestrator
    from llm_worker.bootstrap.worker.parts import WorkerParts
    from llm_worker.settings import Settings

WINDOW_PER_SLOT: Final = 10
"""Unacked deliveries per running call: room for those that wait, and for those behind them."""
WINDOW_AT_MOST: Final = 4_000
"""Unacked deliveries whatever the number of calls: one that waits takes about 23 kB."""


def window_of(settings: Settings) -> int:
    """Give how many deliveries may be unacked."""
    running = settings.max_in_flight
    return max(running, min(running * WINDOW_PER_SLOT, WINDOW_AT_MOST))


def apply_settings(
    settings: Settings, *, parts: WorkerParts, orchestrator: Orchestrator, in_flight: InFlight
) -> None:
    """Have the parts go by the settings from now on; nothing happens where they do so already.

    Requests under way keep their plan and running calls end, but whatever waits looks again: no
    call goes to a provider any more that is not enabled. The settings have no fault
    (`runtime_checks`).
    """
    routes, board = build_routes(settings, parts.providers), orchestrator.board
    for target in routes.configured():
        parts.metrics.expect(target.provider, target.model)
    orchestrator.routes = routes
    orchestrator.attempts_at_most = settings.retry.attempts
    orchestrator.backoff = backoff_of(settings)
    for breaker in (parts.breaker, *board.breakers):
        retune(breaker, settings)
    parts.slots.resize(settings.max_in_flight)
    in_flight.resize(window_of(settings))
    board.adopt(
        {name: limits_of(settings, name) for name in parts.providers},
        enabled=usable_providers(settings),
    )
