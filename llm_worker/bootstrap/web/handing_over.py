"""Records that somebody waits for over HTTP: handed to Kafka within seconds, or said that not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from llm_worker.adapters.web.answers import RequestError, unavailable
from llm_worker.application.ports import Refusal
from llm_worker.contracts.vocabulary import ErrorCode

if TYPE_CHECKING:
    from llm_worker.application.ports import EventPublisher
    from llm_worker.domain.delivery import Record

_WITHIN_S: Final = 10.0


async def hand_over(publisher: EventPublisher, record: Record) -> None:
    """Publish a record; the broker holds it on return.

    As a caller's: it is tried a few times, not for ever, and never opens the publisher's breaker,
    which only those close who go on trying.

    Raises:
        RequestError: The broker refuses it, or has not confirmed it in time.
    """
    try:
        async with asyncio.timeout(_WITHIN_S):
            sending = await publisher.send(replace(record, is_own=False))
            [refusal] = await publisher.confirm([sending])
    except TimeoutError:
        raise unavailable(
            "Kafka has not confirmed it in time, and may have it all the same", retry_after_s=5
        ) from None
    if refusal is Refusal.TOO_LARGE:
        raise too_large()
    if refusal is not None:
        raise unavailable(
            f"Kafka does not take it: is {record.topic} there, and may this worker write to it?",
            retry_after_s=30,
        )


def too_large() -> RequestError:
    """Make the error of a request that fits into no record."""
    return RequestError(
        HTTPStatus.BAD_REQUEST,
        ErrorCode.LLM_CONTENT_TOO_LONG,
        "the request does not fit into a record of the request topic; shorten it",
    )
