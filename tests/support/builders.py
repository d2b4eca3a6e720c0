"""Requests, deliveries and outcomes with the fields that a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson

from llm_worker.adapters.kafka.codec import KafkaCodec
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import Lane, ProviderName, Winner
from llm_worker.domain.cached import CachedVerdict, CacheHit, CacheTier
from llm_worker.domain.delivery import Delivery
from llm_worker.domain.outcome import Attempt, Completed, Failed, FinishedAttempt, Target
from llm_worker.domain.request import ComparisonRequest
from llm_worker.domain.verdict import (
    NO_FACTS,
    Billing,
    CallFacts,
    Completion,
    Usage,
    Verdict,
)
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from llm_worker.application.ports import Clock
    from llm_worker.domain.delivery import Header
    from llm_worker.domain.errors import ProviderError, WorkerError

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TARGET = Target(provider=ProviderName.MOCK, model="mock-judge-1")
TOPICS = load_topics()
REQUEST_TOPIC = "huleedu.llm_provider.comparison_requested.v1"
RESULT_TOPIC = "huleedu.llm_provider.comparison_result.v1"
DEAD_LETTER_TOPIC = "huleedu.llm_provider.comparison_requested.dlq.v1"


def body_of(**data: object) -> dict[str, Any]:
    """A valid envelope around a valid request; `data` is laid over the request's fields."""
    return {
        "event_id": str(uuid4()),
        "event_type": REQUEST_TOPIC,
        "event_timestamp": "2026-11-23T09:59:00Z",
        "source_service": "test",
        "correlation_id": str(uuid4()),
        "data": {
            "user_prompt": "Which essay argues better?",
            "essay_a": "Dogs are loyal and attentive companions.",
            "essay_b": "dogs dogs dogs",
            **data,
        },
    }


def delivery_of(  # noqa: PLR0913 - a test names what it is about
    value: bytes | dict[str, Any] | None = None,
    *,
    key: bytes | None = b"",
    headers: tuple[Header, ...] = (),
    offset: int = 7,
    generation: int = 1,
    lane: Lane = Lane.NORMAL,
    received_s: float = 0.0,
) -> Delivery:
    return Delivery(
        lane=lane,
        topic=REQUEST_TOPIC,
        partition=3,
        offset=offset,
        generation=generation,
        key=key,
        value=orjson.dumps(value) if isinstance(value, dict) else value,
        headers=headers,
        received_s=received_s,
    )


def codec_of(clock: Clock | None = None) -> KafkaCodec:
    return KafkaCodec(
        topics=TOPICS,
        first_target=lambda: TARGET,
        clock=clock or ManualClock(NOW),
        longest_s=300,
    )


def request_of(**data: object) -> ComparisonRequest:
    request = codec_of().decode(delivery_of(body_of(**data)))
    assert isinstance(request, ComparisonRequest), request
    return request


def completion_of(
    *,
    cost_usd: Decimal | None = Decimal("0.001"),
    facts: CallFacts = NO_FACTS,
    **verdict: Any,  # noqa: ANN401 - any field of the verdict
) -> Completion:
    fields = {"winner": Winner.A, "justification": "It argues better.", "confidence": 0.5}
    return Completion(
        verdict=Verdict(**{**fields, **verdict}),
        model="mock-judge-1",
        billing=Billing(usage=Usage(prompt_tokens=10, completion_tokens=5), cost_usd=cost_usd),
        facts=facts,
    )


def verdict_of(completion: Completion | None = None, **fields: Any) -> CachedVerdict:  # noqa: ANN401 - any field of it
    known = {
        "provider": ProviderName.MOCK,
        "completion": completion or completion_of(),
        "bought_by": UUID(int=7),
        "organization_id": None,
        "bought_at": NOW,
    }
    return CachedVerdict(**{**known, **fields})


def hit_of(completion: Completion | None = None, tier: CacheTier = CacheTier.REDIS) -> CacheHit:
    return CacheHit(verdict=verdict_of(completion), tier=tier)


def attempt_of(
    ending: Completion | ProviderError, *, number: int = 1, attempt_id: UUID | None = None
) -> FinishedAttempt:
    attempt = Attempt(
        attempt_id=attempt_id or uuid4(), number=number, target=TARGET, started_at=NOW
    )
    return FinishedAttempt(attempt=attempt, ended_at=NOW, response_time_ms=12, ending=ending)


def completed_of(
    request: ComparisonRequest, *attempts: FinishedAttempt, completion: Completion | None = None
) -> Completed:
    return Completed(
        request=request,
        attempts=attempts,
        target=TARGET,
        completion=completion or completion_of(),
        completed_at=NOW,
        response_time_ms=12,
    )


def failed_of(request: ComparisonRequest, error: WorkerError, *attempts: FinishedAttempt) -> Failed:
    return Failed(
        request=request,
        attempts=attempts,
        target=TARGET,
        error=error,
        completed_at=NOW,
        response_time_ms=12,
    )
