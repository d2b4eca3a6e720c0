"""What a worker answers over HTTP, and to whom."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llm_worker import __version__
from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.adapters.web.admin import admin_operations
from llm_worker.adapters.web.comparison import comparison_operations
from llm_worker.adapters.web.guard import Guard, WrongKeys, is_loopback
from llm_worker.adapters.web.health import health_operations
from llm_worker.adapters.web.openapi import openapi_operation
from llm_worker.adapters.web.providers import provider_operations
from llm_worker.adapters.web.state import state_operations
from llm_worker.adapters.web.usage import usage_operations
from llm_worker.bootstrap.connection import kafka_options
from llm_worker.bootstrap.providers.desk import ProviderDesk
from llm_worker.bootstrap.providers.routing import lacking
from llm_worker.bootstrap.providers.states import silent_view
from llm_worker.bootstrap.web.comparing import Comparing
from llm_worker.bootstrap.web.configuring import Configuring
from llm_worker.client.comparison import ComparisonClient
from llm_worker.domain.results import SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from llm_worker.adapters.web.operations import Operation
    from llm_worker.application.orchestrator import Orchestrator
    from llm_worker.application.ports import Clock, ReplyTopics
    from llm_worker.bootstrap.worker.parts import WorkerParts
    from llm_worker.bootstrap.worker.probe import WorkerProbe
    from llm_worker.contracts.state import StateV1
    from llm_worker.settings import Settings


def build_comparing(settings: Settings, parts: WorkerParts, reply_topics: ReplyTopics) -> Comparing:
    """Wire what takes comparisons. Nothing is opened before somebody waits for a result."""
    return Comparing(
        new_client=partial(
            ComparisonClient, kafka_options(settings), parts.topics, source_service=SERVICE
        ),
        topics=parts.topics,
        publisher=parts.publisher,
        reply_topics=reply_topics,
        clock=parts.clock,
        wait_s=settings.request_deadline_s,
    )


def worker_operations(
    settings: Settings,
    parts: WorkerParts,
    probe: WorkerProbe,
    orchestrator: Orchestrator,
    comparing: Comparing,
    state: Callable[[], StateV1],
) -> list[Operation]:
    """Give all that a worker answers."""
    guard = _guard(settings, parts.clock)
    spending = parts.spending
    desk = ProviderDesk(
        providers=parts.providers,
        views=probe.providers,
        silent=lambda name: silent_view(spending.controlled.settings, name),
        lacking=lambda name: lacking(spending.controlled.settings, name),
        routes=lambda: orchestrator.routes,
        feed=spending.feed,
        clock=parts.clock,
    )
    config = Configuring(
        controlled=spending.controlled,
        topics=parts.topics,
        codec=EventRenderer(parts.topics),
        publisher=parts.publisher,
        clock=parts.clock,
        is_stopping=lambda: comparing.is_stopping,
    )
    operations = [
        *health_operations(probe),
        *state_operations(state),
        *usage_operations(spending.feed.usage),
        *provider_operations(desk, guard),
        *comparison_operations(comparing, guard),
        *admin_operations(config, guard),
    ]
    return [*operations, openapi_operation(operations, __version__)]


def _guard(settings: Settings, clock: Clock) -> Guard:
    web = settings.web
    return Guard(
        admin_key=_shown(settings.admin_api_key),
        api_key=_shown(web.api_key),
        is_open=is_loopback(web.host) or web.allow_anonymous,
        wrong_admin_keys=WrongKeys(now_s=clock.monotonic),
        wrong_api_keys=WrongKeys(now_s=clock.monotonic),
    )


def _shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
