"""The web server with stand-ins behind it, and a client that asks it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from llm_worker.adapters.web.admin import admin_operations
from llm_worker.adapters.web.answers import invalid, not_found
from llm_worker.adapters.web.bodies import MAX_BODY_BYTES
from llm_worker.adapters.web.comparison import comparison_operations
from llm_worker.adapters.web.guard import Guard, WrongKeys
from llm_worker.adapters.web.health import health_operations
from llm_worker.adapters.web.openapi import openapi_operation
from llm_worker.adapters.web.providers import provider_operations
from llm_worker.adapters.web.site import furnish
from llm_worker.adapters.web.state import state_operations
from llm_worker.adapters.web.usage import usage_operations
from llm_worker.contracts.http import (
    ChangeAnswer,
    ProvidersAnswer,
    ProviderTestAnswer,
    SettingAnswer,
)
from llm_worker.contracts.result import LLMComparisonResultV1, TokenUsage
from llm_worker.contracts.state import StateV1
from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.domain.health import Facts, Health, KafkaFacts, ProviderFacts, judge
from llm_worker.domain.spend_view import SpendView
from llm_worker.domain.usage import usage_report
from tests.browser import states

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import TypeAlias
    from uuid import UUID

    from llm_worker.adapters.web.operations import Operation
    from llm_worker.contracts.request import LLMComparisonRequestV1

    Client: TypeAlias = TestClient[web.Request, web.Application]

ADMIN_KEY = "planted-admin-key"
API_KEY = "planted-api-key"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
WELL = Facts(
    version="1.2.3",
    environment="test",
    loop_lag_s=0.01,
    kafka=KafkaFacts(
        assigned_partitions=12,
        rebalancing=False,
        draining=False,
        publisher_available=True,
        last_broker_contact_age_s=1.0,
        oldest_delivery_overdue_s=0.0,
    ),
    providers={
        "mock": ProviderFacts(enabled=True, configured=True, circuit_breaker_state="closed")
    },
)


@dataclass(slots=True)
class FakeComparisons:
    """Takes requests and gives a verdict with `changes`, or raises `error`."""

    error: Exception | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    queued: list[tuple[LLMComparisonRequestV1, UUID]] = field(default_factory=list)
    compared: list[tuple[LLMComparisonRequestV1, UUID]] = field(default_factory=list)
    traces: list[Mapping[str, str]] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def queue(
        self, asked: LLMComparisonRequestV1, event_id: UUID, trace: Mapping[str, str], /
    ) -> None:
        self.traces.append(trace)
        if self.error is not None:
            raise self.error
        self.queued.append((asked, event_id))

    async def compare(
        self, asked: LLMComparisonRequestV1, event_id: UUID, trace: Mapping[str, str], /
    ) -> LLMComparisonResultV1:
        self.traces.append(trace)
        if self.error is not None:
            raise self.error
        self.compared.append((asked, event_id))
        await self.may_answer.wait()
        return verdict_for(asked, event_id, **self.changes)


@dataclass(slots=True)
class FakeConfig:
    """One setting, a number from 1 up."""

    value: int = 4
    reasons: list[str | None] = field(default_factory=list)

    def list(self) -> list[SettingAnswer]:
        return [self.get("retry.attempts")]

    def get(self, name: str) -> SettingAnswer:
        if not name.startswith(("retry.", "providers.")):
            raise not_found("there is no such runtime setting: did you mean retry.attempts?")
        return SettingAnswer(name=name, value=self.value, source="default", meaning="Calls.")

    async def set(self, name: str, value: Any, reason: str | None) -> ChangeAnswer:  # noqa: ANN401 - as the port has it
        before = self.get(name).value
        if not isinstance(value, int):
            raise invalid("retry.attempts must be a number from 1 up")
        self.value = value
        self.reasons.append(reason)
        return ChangeAnswer(**dict(self.get(name)), previous=before)

    async def unset(self, name: str) -> ChangeAnswer:
        before = self.get(name).value
        self.value = 4
        return ChangeAnswer(**dict(self.get(name)), previous=before)


@dataclass(slots=True)
class FakeProviders:
    """Answers what it was given."""

    tried: list[ProviderName] = field(default_factory=list)

    def summary(self) -> ProvidersAnswer:
        return ProvidersAnswer(
            providers=[],
            default_provider=ProviderName.MOCK,
            selection_strategy="priority",
            total_requests_today=None,
            total_cost_today=None,
        )

    async def try_out(self, name: ProviderName) -> ProviderTestAnswer:
        self.tried.append(name)
        return ProviderTestAnswer(success=True, provider=name, message="Essay A")


@dataclass(slots=True)
class FakeProbe:
    """Judges `facts`."""

    facts: Facts = WELL
    is_broken: bool = False

    @property
    def loop_lag_s(self) -> float:
        return self.facts.loop_lag_s

    def health(self) -> Health:
        if self.is_broken:
            raise RuntimeError
        return judge(self.facts)

    def metrics(self) -> bytes:
        return b"llm_worker_x 1.0\n"


@dataclass(slots=True)
class FakeSite:
    """A server and what stands behind it; nobody needs a key unless told so."""

    admin_key: str | None = ADMIN_KEY
    api_key: str | None = None
    is_open: bool = True
    is_local: bool = False
    now_s: float = 1_000.0
    comparisons: FakeComparisons = field(default_factory=FakeComparisons)
    config: FakeConfig = field(default_factory=FakeConfig)
    providers: FakeProviders = field(default_factory=FakeProviders)
    probe: FakeProbe = field(default_factory=FakeProbe)
    usage: Mapping[str, Any] | None = field(default_factory=lambda: usage_report(SpendView(), NOW))
    faults: list[Exception] = field(default_factory=list)

    def operations(self) -> list[Operation]:
        guard = Guard(
            admin_key=self.admin_key,
            api_key=self.api_key,
            is_open=self.is_open,
            wrong_admin_keys=WrongKeys(now_s=lambda: self.now_s),
            wrong_api_keys=WrongKeys(now_s=lambda: self.now_s),
        )
        operations = [
            *health_operations(self.probe),
            *usage_operations(lambda: self.usage),
            *state_operations(lambda: StateV1.model_validate(states.healthy())),
            *provider_operations(self.providers, guard),
            *comparison_operations(self.comparisons, guard),
            *admin_operations(self.config, guard),
        ]
        return [*operations, openapi_operation(operations, "1.2.3")]

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        furnish(application, self.operations(), is_local=self.is_local, on_fault=self.faults.append)
        return application

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with TestClient(TestServer(self.application())) as client:
            yield client


def verdict_for(
    asked: LLMComparisonRequestV1, event_id: UUID, **changes: object
) -> LLMComparisonResultV1:
    """Give a verdict as the worker would."""
    said = {
        "request_id": str(event_id),
        "correlation_id": asked.correlation_id or event_id,
        "winner": Winner.A,
        "justification": "It says more.",
        "confidence": 4.0,
        "provider": ProviderName.MOCK,
        "model": "mock-judge-1",
        "response_time_ms": 12,
        "token_usage": TokenUsage(prompt_tokens=10, completion_tokens=5, total_tokens=15),
        "cost_estimate": 0.0,
        "cost_known": True,
        "cached": False,
        "attempts": 1,
        "requested_at": NOW,
        "completed_at": NOW,
        "request_metadata": dict(asked.metadata),
    }
    return LLMComparisonResultV1.model_validate(said | changes)
