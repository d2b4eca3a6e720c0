"""Cost events made wrong, to a real accountant: it adds up the others to the last digit."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import pytest

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.application.verifying import verify
from llm_worker.bootstrap.spend.reading import TopicHistory
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.delivery import PlacedRecord
from llm_worker.domain.errors import InvalidDeliveryError
from tests.chaos.accountants import HORIZON_MS, dead_letters, published, until_booked
from tests.chaos.harness import FULL, sized
from tests.hostile.mutation import Mutator
from tests.support.worker import Installation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from llm_worker.dev.kafka import EmbeddedKafka

pytestmark = pytest.mark.timeout(1_800 if FULL else 120)

_COUNT: Final = sized(small=200, full=10_000)
_OURS: Final = "exact-school"


async def test_totals_of_valid_cost_events_are_exact_and_the_others_are_set_aside(
    kafka: EmbeddedKafka, tmp_path: Path, draw: Random, found: Callable[[str], None]
) -> None:
    installation = await Installation(kafka.bootstrap_servers, tmp_path).create()
    topics, today = installation.topics, SystemClock().now().date().isoformat()
    topic, codec, mutator = (
        topics.on_broker(TopicName.COST_TRACKING),
        SpendCodec(topics),
        Mutator(draw),
    )
    total, unreadable = Decimal(0), 0
    async with installation.producer() as producer:
        for number in range(_COUNT):
            event = _event(draw, today)
            value: bytes | None = json.dumps(event).encode()
            if number % 2:
                value = _wrong(draw, mutator, event)
            else:
                total += Decimal(str(event["data"]["cost_estimate_usd"]))
            record = _placed(topic, value)
            unreadable += isinstance(codec.event(record), InvalidDeliveryError)
            await producer.send(topic, value, key=b"cost")
    accountant = installation.launch("accountant")
    try:
        await until_booked(installation, timeout_s=600 if FULL else 90)
        assert await accountant.terminate() == 0
    finally:
        accountant.kill()
    sums = await published(installation)
    assert sums[_OURS, None, today].cost_usd == total
    assert await dead_letters(installation) == unreadable
    history = TopicHistory(installation.options, topics, horizon_ms=HORIZON_MS)
    assert await verify(history, codec, horizon_ms=HORIZON_MS) == []
    assert "booking_failed" not in accountant.log
    found(f"{_COUNT} cost events: {unreadable} set aside, the valid ones {total} USD")


def _wrong(draw: Random, mutator: Mutator, event: dict[str, Any]) -> bytes | None:
    event["data"]["organization_id"] = "another-school"
    match draw.randrange(4):
        case 0:
            return mutator.bytes_(json.dumps(event).encode())
        case 1:
            name = draw.choice(("cost_estimate_usd", "cache_cost_savings_usd", "token_usage"))
            event["data"][name] = mutator.value()
        case 2:
            return draw.choice((None, b"", b"[]", json.dumps(event).encode("utf-16")))
        case _:
            event = mutator.document(event, draw.randrange(1, 4))
    return mutator.written(event)


def _event(draw: Random, today: str) -> dict[str, Any]:
    tokens = draw.randrange(1, 5_000)
    own = str(UUID(int=draw.getrandbits(128), version=4))
    return {
        "event_id": own,
        "event_type": "huleedu.llm_provider.cost_tracking.v1",
        "event_timestamp": f"{today}T00:00:01Z",
        "source_service": "llm-worker",
        "correlation_id": own,
        "data": {
            "correlation_id": own,
            "provider": draw.choice(("anthropic", "openai", "google")),
            "model": "small",
            "organization_id": _OURS,
            "service_name": "llm-worker",
            "request_timestamp": f"{today}T00:00:00Z",
            "response_time_ms": 7,
            "attempt": 1,
            "cached": False,
            "cost_estimate_usd": float(Decimal(tokens) * Decimal("0.00000025")),
            "cost_known": True,
            "outcome": "success",
            "token_usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "cache_cost_savings_usd": 0,
            "metadata": {"lane": "normal"},
        },
    }


def _placed(topic: str, value: bytes | None) -> PlacedRecord:
    return PlacedRecord(
        topic=topic, partition=0, offset=0, key=b"cost", value=value, headers=(), at_ms=0
    )
