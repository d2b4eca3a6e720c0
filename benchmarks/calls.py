"""The call that our worker makes for a request, as it goes to the transport."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
from typing_extensions import override

from benchmarks.load import request as written_request
from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.codec import KafkaCodec
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import Lane, TopicName
from llm_worker.domain.delivery import Delivery
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.outcome import Attempt, Rejected, Target

if TYPE_CHECKING:
    from llm_worker.adapters.providers.http_provider import HttpProvider
    from llm_worker.application.ports import Provider
    from llm_worker.domain.request import ComparisonRequest

LIMIT_S = 45.0
_LONGEST_S = 3_600.0


def request_of(essay_bytes: int, target: Target) -> ComparisonRequest:
    """Read one of the load's requests as our worker does; it waits an hour at most."""
    clock = SystemClock()
    topics = load_topics()
    key, value = written_request(essay_bytes)
    delivery = Delivery(
        lane=Lane.NORMAL,
        topic=topics.on_broker(TopicName.COMPARISON_REQUESTED),
        partition=0,
        offset=0,
        generation=0,
        key=key,
        value=value,
        headers=(),
        received_s=clock.monotonic(),
    )
    codec = KafkaCodec(
        topics=topics, first_target=lambda: target, clock=clock, longest_s=_LONGEST_S
    )
    decoded = codec.decode(delivery)
    if isinstance(decoded, Rejected):
        raise decoded.error
    return decoded


def target_of(provider: Provider) -> Target:
    """Name the provider's default model."""
    return Target(provider=provider.name, model=provider.default_model)


def attempt_at(target: Target) -> Attempt:
    """Make a first attempt."""
    return Attempt(attempt_id=uuid4(), number=1, target=target, started_at=SystemClock().now())


async def prepared_call(provider: HttpProvider, essay_bytes: int) -> httpx.Request:
    """Give what the provider would send for a request; nothing is sent."""
    target, transport = target_of(provider), provider.transport
    provider.transport = recorder = _Recorder()
    try:
        with suppress(ProviderError):
            await provider.judge(request_of(essay_bytes, target), attempt_at(target), LIMIT_S)
    finally:
        provider.transport = transport
    return recorder.recorded[0]


class _Recorder(httpx.AsyncBaseTransport):
    """Keeps what it should send."""

    def __init__(self) -> None:
        self.recorded: list[httpx.Request] = []

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.recorded.append(request)
        raise httpx.ConnectError("recorded, not sent")
