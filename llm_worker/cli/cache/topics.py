"""Requests and their results as the topics hold them now, for `cache warm --from-topics`."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import orjson
from pydantic import ValidationError

from llm_worker import bootstrap
from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka.codec import KafkaCodec
from llm_worker.application.warming import Unfit, recalled, sought_by
from llm_worker.cli.connection import prepare_for_kafka
from llm_worker.client.history import read_to_end
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.result import LLMComparisonResultV1
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, TopicName
from llm_worker.domain.delivery import Delivery
from llm_worker.domain.outcome import Rejected

if TYPE_CHECKING:
    from llm_worker.application.routes import Routes
    from llm_worker.application.warming import Sought
    from llm_worker.bootstrap import Settings
    from llm_worker.cli.cache.shelf import Shelf
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.cached import CachedVerdict
    from llm_worker.domain.delivery import PlacedRecord

_Result = EventEnvelope[LLMComparisonResultV1]


async def read_topics(settings: Settings, routes: Routes, shelf: Shelf) -> None:
    """Put the verdict of every result whose request is there too onto the shelf.

    Raises:
        ClientError: Kafka cannot be read.
    """
    prepare_for_kafka()
    kafka, catalog = bootstrap.kafka_options(settings), bootstrap.catalog(settings)
    asked = AskedBefore(catalog, routes)
    async with aclosing(read_to_end(kafka, asked.topics)) as records:
        async for record in records:
            asked.add(record)
    results = catalog.on_broker(TopicName.COMPARISON_RESULT)
    async with aclosing(read_to_end(kafka, [results])) as records:
        async for record in records:
            found = asked.answered_by(record.value)
            if isinstance(found, Unfit):
                shelf.skipped[found] += 1
            else:
                await shelf.keep(*found)


class AskedBefore:
    """The requests of the topics: of each its id and what is sought, never a text."""

    def __init__(self, catalog: TopicCatalog, routes: Routes) -> None:
        lanes = REQUEST_TOPICS.items()
        self.topics = {catalog.on_broker(name): lane for lane, name in lanes}
        self._routes = routes
        # Its rejections are not published, and nothing waits for its deadlines.
        self._codec = KafkaCodec(
            topics=catalog, first_target=routes.first_target, clock=SystemClock(), longest_s=0
        )
        self._sought: dict[str, Sought | Unfit] = {}

    def add(self, record: PlacedRecord) -> None:
        """Remember a request; what is none has no verdict either."""
        lane = self.topics[record.topic]
        request = self._codec.decode(
            Delivery(
                lane=lane,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                generation=0,
                key=record.key,
                value=record.value,
                headers=record.headers,
                received_s=0.0,
            )
        )
        if isinstance(request, Rejected):
            return
        sought = sought_by(request.asked, request.prompt, self._routes, lane)
        if self._sought.setdefault(str(request.request_id), sought) != sought:
            self._sought[str(request.request_id)] = Unfit.AMBIGUOUS

    def answered_by(self, value: bytes | None) -> tuple[str, CachedVerdict] | Unfit:
        """Give the verdict that a result's event bought, with its request's fingerprint."""
        try:
            result = _Result.from_json(value or b"").data
        except (ValidationError, orjson.JSONDecodeError):
            return Unfit.NO_RESULT
        if result.cached:
            return Unfit.CACHED
        sought = self._sought.get(result.request_id, Unfit.NO_REQUEST)
        if isinstance(sought, Unfit):
            return sought
        verdict = recalled(sought, result)
        return verdict if isinstance(verdict, Unfit) else (sought.fingerprint, verdict)
