"""/livez, /readyz, /healthz and /metrics."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from llm_worker.adapters.web.answers import json_answer
from llm_worker.adapters.web.operations import reading
from llm_worker.contracts.http import HealthAnswer, LiveAnswer, ReadyAnswer
from llm_worker.domain.health import HealthStatus

if TYPE_CHECKING:
    from llm_worker.adapters.web.operations import Operation
    from llm_worker.domain.health import Health

_PROMETHEUS_TEXT = "text/plain; version=1.0.0; charset=utf-8"


class HealthProbe(Protocol):
    """What the worker knows of itself, at once and without waiting."""

    @property
    def loop_lag_s(self) -> float:
        """Seconds that the event loop's last timer was late."""

    def health(self) -> Health:
        """Judge the present facts."""

    def metrics(self) -> bytes:
        """Render all metrics in Prometheus' text format 1.0.0."""


def health_operations(probe: HealthProbe) -> list[Operation]:
    """Liveness, readiness, health and metrics.

    /livez answers 200 as long as the event loop turns, whatever else is wrong. /readyz answers
    503 with the reasons in words while no work should be given, /healthz while unhealthy.
    """

    async def livez(_request: web.Request) -> web.Response:
        body = {"status": "alive", "event_loop_lag_s": probe.loop_lag_s}
        return json_answer(HTTPStatus.OK, body)

    async def readyz(_request: web.Request) -> web.Response:
        health = probe.health()
        body = {"ready": health.is_ready, "reasons": health.not_ready_because}
        return json_answer(
            HTTPStatus.OK if health.is_ready else HTTPStatus.SERVICE_UNAVAILABLE, body
        )

    async def healthz(_request: web.Request) -> web.Response:
        health = probe.health()
        unhealthy = health.status is HealthStatus.UNHEALTHY
        return json_answer(
            HTTPStatus.SERVICE_UNAVAILABLE if unhealthy else HTTPStatus.OK, _in_full(health)
        )

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=probe.metrics(), headers={"Content-Type": _PROMETHEUS_TEXT})

    in_full = {200: HealthAnswer, 503: HealthAnswer}
    return [
        reading("/livez", livez, "Whether the event loop turns", {200: LiveAnswer}),
        reading(
            "/readyz", readyz, "Whether work may be given", {200: ReadyAnswer, 503: ReadyAnswer}
        ),
        reading("/healthz", healthz, "How the process is; 503 while unhealthy", in_full),
        reading("/metrics", metrics, "All metrics, as Prometheus' text", {200: "text/plain"}),
    ]


def _in_full(health: Health) -> dict[str, Any]:
    facts = health.facts
    return {
        "status": health.status,
        "service": health.service,
        "version": facts.version,
        "environment": facts.environment,
        "dependencies": {
            "kafka": asdict(facts.kafka),
            "redis": {"available": facts.cache.redis_available},
            "cache": asdict(facts.cache),
        },
        "providers": {name: asdict(provider) for name, provider in facts.providers.items()},
        "warnings": health.warnings,
    }
