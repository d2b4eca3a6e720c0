"""Accountants under trial: what they are given, and what their totals must be."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from llm_worker.adapters.clock import SystemClock
from llm_worker.bootstrap.spend.reading import TopicHistory
from llm_worker.client.history import read_to_end
from llm_worker.contracts.vocabulary import TopicName
from tests.chaos.watch import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from llm_worker.domain.delivery import PlacedRecord
    from tests.support.worker import Installation

_Key = tuple[str | None, str | None, str]
"""Organisation, provider and period."""

HORIZON_MS = 86_400_000


@dataclass(slots=True)
class CostLoad:
    """Writes cost events: some twice, some first unknown and then known, some no event at all."""

    installation: Installation
    seed: int
    written: int = 0
    bad: int = 0
    _past: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AIOKafkaProducer]:
        """Give the producer that `write` writes with."""
        async with AIOKafkaProducer(
            **self.installation.options,
            enable_idempotence=True,
            linger_ms=10,
            max_batch_size=262_144,
            request_timeout_ms=300_000,
        ) as producer:
            yield producer

    async def write(self, producer: AIOKafkaProducer, count: int) -> None:
        """Write so many records; on return the broker holds them."""
        draw = random.Random(f"{self.seed}/{self.written}")  # noqa: S311 - a seeded load
        futures, topic = [], self.installation.topic(TopicName.COST_TRACKING)
        for _ in range(count):
            value = self._record(draw)
            futures.append(await producer.send(topic, value, key=b"cost"))
        await asyncio.gather(*futures)
        self.written += count

    def _record(self, draw: random.Random) -> bytes:
        kind = draw.random()
        if kind < 0.002:
            self.bad += 1
            return b'{"event_id": "no event", "data": ' + str(draw.random()).encode() + b"}"
        if kind < 0.06 and self._past:
            event = draw.choice(self._past[-500:])
            if event["data"]["outcome"] == "unknown":
                event = {**event, "data": _known(event["data"], draw)}
            return orjson.dumps(event)
        event = _event(draw)
        self._past.append(event)
        return orjson.dumps(event)


def _event(draw: random.Random) -> dict[str, Any]:
    # Many of them late: for yesterday's account, perhaps of the month before, or a forgotten one.
    at = SystemClock().now() - timedelta(days=draw.choice((0, 0, 0, 1, 100)))
    data: dict[str, Any] = {
        "correlation_id": str(uuid4()),
        "provider": draw.choice(("anthropic", "openai", "google")),
        "model": draw.choice(("small", "large")),
        "organization_id": draw.choice((None, "school-1", "school-2")),
        "service_name": "llm-worker",
        "request_timestamp": at.isoformat(),
        "response_time_ms": draw.randrange(1, 9_000),
        "attempt": 1,
        "cached": False,
        "metadata": {"lane": draw.choice(("normal", "bulk"))},
    }
    kind = draw.random()
    if kind < 0.1:
        unknown = {"cost_estimate_usd": 0, "cost_known": False, "outcome": "unknown"}
        data |= {**unknown, "token_usage": {}}
    elif kind < 0.2:
        saved = {"cost_estimate_usd": 0, "cost_known": True, "outcome": "cached", "cached": True}
        data |= {**saved, "token_usage": {}, "cache_cost_savings_usd": 0.00123}
    else:
        data = _known(data, draw)
    return {
        "event_id": str(uuid4()),
        "event_type": "huleedu.llm_provider.cost_tracking.v1",
        "event_timestamp": at.isoformat(),
        "source_service": "llm-worker",
        "correlation_id": data["correlation_id"],
        "data": data,
    }


def _known(data: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    tokens = draw.randrange(1, 5_000)
    return {
        **data,
        "cost_estimate_usd": float(Decimal(tokens) * Decimal("0.00000025")),
        "cost_known": True,
        "outcome": "success",
        "token_usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


@dataclass(slots=True)
class Sums:
    """What a scope and period must have."""

    cost_usd: Decimal = Decimal(0)
    savings_usd: Decimal = Decimal(0)
    unknown: int = 0
    hits: int = 0
    tokens: int = 0


async def expected(installation: Installation) -> dict[_Key, Sums]:
    """Add the topic up, in the plainest way."""
    events: dict[str, dict[str, Any]] = {}
    async for record in _read(installation, TopicName.COST_TRACKING):
        event = orjson.loads(record.value or b"null")
        if "correlation_id" not in event:
            continue
        known = events.get(event["event_id"])
        if known is None or (_is_unknown(known) and not _is_unknown(event)):
            events[event["event_id"]] = event
    sums: dict[_Key, Sums] = defaultdict(Sums)
    for event in events.values():
        data, day = event["data"], event["event_timestamp"][:10]
        organization = data["organization_id"]
        whose: list[tuple[str | None, str | None]] = [(None, None), (None, data["provider"])]
        if organization:
            whose.append((organization, None))
        for each in whose:
            for period in (day, day[:7]):
                _add(sums[(*each, period)], data)
    return dict(sums)


async def published(installation: Installation) -> dict[_Key, Sums]:
    """Give what the accountants say."""
    history = TopicHistory(installation.options, installation.topics, horizon_ms=HORIZON_MS)
    sums: dict[_Key, Sums] = defaultdict(Sums)
    for key, account in (await history.accounts()).items():
        if key.scope.model is not None:
            continue
        found = sums[key.scope.organization, key.scope.provider, key.period]
        found.cost_usd += account.cost_usd
        found.savings_usd += account.savings_usd
        found.unknown += account.unknown_costs
        found.hits += account.cache_hits
        found.tokens += account.tokens.get("total_tokens", 0)
    return dict(sums)


async def alerts(installation: Installation) -> Counter[str]:
    """Count the alerts as records, by their ids."""
    return Counter({each: len(times) for each, times in (await alert_times(installation)).items()})


async def alert_times(installation: Installation) -> dict[str, list[datetime]]:
    """Say when each alert was told, by its id."""
    found = defaultdict[str, list[datetime]](list)
    async for record in _read(installation, TopicName.COST_ALERT):
        alert_id = orjson.loads(record.value or b"")["event_id"]
        found[alert_id].append(datetime.fromtimestamp(record.at_ms / 1000, UTC))
    return found


async def dead_letters(installation: Installation) -> int:
    """Count the records that were set aside, each once."""
    records = _read(installation, TopicName.DEAD_LETTER)
    return len({dict(record.headers)["dlq.offset"] async for record in records})


async def until_booked(installation: Installation, *, timeout_s: float) -> None:
    """Wait until the accountants have committed everything."""
    topic = installation.topic(TopicName.COST_TRACKING)
    [(place, end)] = (await installation.ends(topic)).items()

    admin = AIOKafkaAdminClient(**installation.options)
    await admin.start()

    async def is_committed() -> bool:
        try:
            found = await admin.list_consumer_group_offsets(f"{installation.group}-accountant")
        except KafkaError:  # a group that is new has no coordinator yet
            return False
        return place in found and found[place].offset == end

    try:
        await until(is_committed, timeout_s=timeout_s, what="all cost events are booked")
    finally:
        await admin.close()


def _is_unknown(event: Mapping[str, Any]) -> bool:
    return bool(event["data"]["outcome"] == "unknown")


def _add(sums: Sums, data: Mapping[str, Any]) -> None:
    sums.hits += data["cached"]
    sums.tokens += data["token_usage"].get("total_tokens", 0)
    sums.savings_usd += Decimal(str(data.get("cache_cost_savings_usd", 0)))
    if data["cost_known"]:
        sums.cost_usd += Decimal(str(data["cost_estimate_usd"]))
    else:
        sums.unknown += 1


def _read(installation: Installation, name: TopicName) -> AsyncIterator[PlacedRecord]:
    return read_to_end(installation.options, [installation.topic(name)])
