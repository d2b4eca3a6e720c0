"""The client as callers use it, against a real worker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from llm_worker.client import ComparisonClient, new_request
from llm_worker.client.failures import (
    ComparisonTimeoutError,
    ConfigurationError,
    InvalidCallbackTopicError,
    RequestValidationError,
)
from llm_worker.contracts.vocabulary import ProviderName, Winner
from tests.support.worker import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def installation(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    directory = tmp_path_factory.mktemp("client")
    installation = Installation(kafka.bootstrap_servers, directory)
    installation.settings = {
        "LLM_WORKER_CALLBACK_PATTERNS": f"{installation.prefix}*",
        "LLM_WORKER_PROVIDERS__MOCK__JOURNAL": str(directory / "journal.jsonl"),
    }
    asyncio.run(installation.create())
    worker = installation.launch()
    try:
        asyncio.run(worker.until_ready())
        yield installation
    finally:
        worker.kill()


def purchases(installation: Installation) -> int:
    journal = installation.directory / "journal.jsonl"
    return len(journal.read_text().splitlines()) if journal.exists() else 0


def client_of(installation: Installation, reply_topic: str | None = None) -> ComparisonClient:
    return ComparisonClient(
        installation.bootstrap_servers, installation.topics, reply_topic=reply_topic
    )


async def test_pair_is_judged_in_one_order_or_in_both(installation: Installation) -> None:
    async with client_of(installation) as client:
        one = await client.compare("Phones belong in lockers.", "phones is good")
        both = await client.compare("Tea is hot.", "tea hot", both_orders=True, timeout_s=60)

    assert one.winner in Winner
    assert (one.provider, one.cost_usd) == (ProviderName.MOCK, Decimal(0))
    assert both.is_tie is (both.ab.winner is both.ba.winner)
    assert both.ab.correlation_id != both.ba.correlation_id


async def test_results_come_on_the_callers_own_topic(installation: Installation) -> None:
    topic = await installation.create_topic(f"{installation.prefix}cj.results")

    async with client_of(installation, topic) as client:
        judgement = await client.compare("An own topic.", "no topic")

    [record] = await installation.read(topic, until=lambda records: len(records) >= 1)
    assert record.key == str(judgement.correlation_id).encode()


async def test_reply_topic_that_the_worker_does_not_allow_is_told(
    installation: Installation,
) -> None:
    topic = await installation.create_topic(f"elsewhere.{installation.prefix}results")

    async with client_of(installation, topic) as client:
        with pytest.raises(InvalidCallbackTopicError, match=r"LLM_WORKER_CALLBACK_PATTERNS|allow"):
            await client.compare("Elsewhere.", "nowhere")


async def test_request_for_another_reply_topic_is_not_waited_for(
    installation: Installation,
) -> None:
    request = new_request("a", "b").model_copy(update={"callback_topic": "huleedu.other"})

    async with client_of(installation) as client:
        with pytest.raises(RequestValidationError, match=r"callback_topic.*leave it out"):
            await client.judge(request)


async def test_error_result_is_raised_as_the_error_of_its_code(
    installation: Installation,
) -> None:
    late = new_request("too", "late").model_copy(update={"not_after": LONG_AGO})

    async with client_of(installation) as client:
        with pytest.raises(ConfigurationError) as unset:
            await client.compare("a", "b", provider="openai")
        with pytest.raises(ComparisonTimeoutError) as expired:
            await client.judge(late)

    assert not unset.value.is_retryable
    assert expired.value.facts.result is not None


async def test_journal_answers_what_was_answered_and_nothing_is_bought_again(
    installation: Installation, tmp_path: Path
) -> None:
    requests = [new_request(f"Essay {n}.", "no essay", metadata={"n": n}) for n in range(20)]
    journal = tmp_path / "results.jsonl"

    async def numbers(up_to: int) -> list[int]:
        async with client_of(installation) as client:
            results = client.submit_many(requests[:up_to], journal=journal)
            return sorted([result.request_metadata["n"] async for result in results])

    first = await numbers(12)
    bought = purchases(installation)
    again = await numbers(12)
    assert purchases(installation) == bought
    everything = await numbers(20)

    assert first == again == list(range(12))
    assert everything == list(range(20))
    assert purchases(installation) == bought + 8
    assert journal.read_bytes().count(b"\n") == 20


async def test_request_answered_while_nobody_read_is_answered_again_and_not_bought_again(
    installation: Installation, tmp_path: Path
) -> None:
    request = new_request("Left alone.", "never read")
    journal = tmp_path / "results.jsonl"
    async with client_of(installation) as client:
        [first] = [result async for result in client.submit_many([request], journal=journal)]
    bought = purchases(installation)
    journal.unlink()

    async with client_of(installation) as client:
        [again] = [result async for result in client.submit_many([request], journal=journal)]

    assert again == first
    assert purchases(installation) == bought
