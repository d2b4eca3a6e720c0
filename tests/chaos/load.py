"""The load that workers are put under."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from llm_worker.adapters.clock import SystemClock
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane
from llm_worker.domain.request import build_prompt
from tests.chaos.evidence import Sent
from tests.chaos.watch import beside, paced, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiokafka import AIOKafkaProducer

    from llm_worker.contracts.topics import TopicCatalog

_PROMPT = "Which essay answers the task better?"


class Load:
    """Sends requests with prompts that are all different, and knows which the broker took."""

    def __init__(self, producer: AIOKafkaProducer, catalog: TopicCatalog) -> None:
        self._producer = producer
        self._catalog = catalog
        self._numbers = count()
        self._records: dict[Sent, tuple[str, bytes]] = {}
        self._on_their_way: list[asyncio.Future[object]] = []

    async def send(
        self,
        *,
        lane: Lane = Lane.NORMAL,
        key: str | None = None,
        event_id: str | None = None,
        metadata: Mapping[str, Any] = {},
        **data: object,
    ) -> Sent:
        """Send one request; the broker has it after `flush`."""
        mark = str(uuid4())
        essay_a, essay_b = f"Essay number {next(self._numbers)} {mark}", "It is as it is."
        essay_a = str(data.pop("essay_a", essay_a))
        asked = LLMComparisonRequestV1(user_prompt=_PROMPT, essay_a=essay_a, essay_b=essay_b)
        sent = Sent(
            mark=mark,
            event_id=event_id or mark,
            correlation_id=key or str(uuid4()),
            prompt_sha256=build_prompt(asked).sha256,
        )
        request = {"user_prompt": _PROMPT, "essay_a": essay_a, "essay_b": essay_b, **data}
        request["metadata"] = {**metadata, "mark": mark}
        topic = REQUEST_TOPICS[lane]
        envelope = {
            "event_id": sent.event_id,
            "event_type": self._catalog[topic].name,
            "event_timestamp": SystemClock().now(),
            "source_service": "chaos",
            "correlation_id": sent.correlation_id,
            "data": request,
        }
        record = (self._catalog.on_broker(topic), orjson.dumps(envelope))
        self._records[sent] = record
        try:
            await self.send_again(sent)
        except asyncio.CancelledError:
            del self._records[sent]  # the load has ended before its producer took it
            raise
        return sent

    async def send_again(self, sent: Sent) -> None:
        """Send the same bytes once more."""
        topic, value = self._records[sent]
        future = await self._producer.send(topic, value=value, key=sent.correlation_id.encode())
        self._on_their_way.append(future)

    async def send_many(self, number: int, **data: Any) -> list[Sent]:  # noqa: ANN401 - a request's fields
        """Send requests in one go, by turns on both lanes."""
        lanes = list(Lane)
        sent = [await self.send(lane=lanes[turn % len(lanes)], **data) for turn in range(number)]
        await self.flush()
        return sent

    @asynccontextmanager
    async def running(
        self,
        *,
        rate_per_s: float,
        at_least: int,
        **data: Any,  # noqa: ANN401 - a request's fields
    ) -> AsyncIterator[None]:
        """Send at a rate beside the body, and after it until so many were sent."""

        async def run() -> None:
            lanes = list(Lane)
            async for turn in paced(rate_per_s):
                await self.send(lane=lanes[turn % len(lanes)], **data)

        async with beside(run()):
            yield
            await until(
                lambda: len(self._on_their_way) >= at_least,
                timeout_s=60 + at_least / rate_per_s * 3,
                what=f"{at_least} requests are sent",
            )

    async def flush(self) -> list[Sent]:
        """Wait until the broker has all that was sent, and give it."""
        await asyncio.gather(*self._on_their_way)
        return list(self._records)
