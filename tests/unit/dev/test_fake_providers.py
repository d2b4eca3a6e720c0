"""What the fake providers answer, and how a test waits for them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.dev.fake_providers import (
    FakeProvider,
    FakeProviderServer,
    Limits,
    Overloaded,
    RateLimited,
    ServerError,
    Verdict,
)
from llm_worker.dev.fake_providers.behaviours import Slow
from llm_worker.dev.fake_providers.drafts import Asked, draft
from llm_worker.dev.fake_providers.exchange import Call
from llm_worker.dev.fake_providers.openai import OpenAI
from llm_worker.dev.fake_providers.retry_after import retry_after_header


@pytest.mark.parametrize(
    ("reset_s", "told"),
    [(0, "0s"), (0.012, "12ms"), (1, "1s"), (39.9, "39.9s"), (360, "6m0s"), (3601, "1h0m1s")],
)
def test_openai_writes_durations_as_go_does(reset_s: float, told: str) -> None:
    provider = FakeProvider(ProviderName.OPENAI, limits=Limits(reset_s=reset_s))
    call = Call(method="GET", path="/models", query="", headers={}, body=None)

    assert OpenAI(provider).look_up(call).headers["x-ratelimit-reset-requests"] == told


_NOW = datetime(2026, 11, 23, 10, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failure", "header"),
    [
        (RateLimited(retry_after_s=1.2), "2"),
        (RateLimited(retry_after_s=1.2, form="date"), "Mon, 23 Nov 2026 10:00:02 GMT"),
        (RateLimited(retry_after_s=1, form="message"), None),
        (RateLimited(retry_after_s=None), None),
        (Overloaded(retry_after_s=3), "3"),
        (Overloaded(), None),
        (ServerError(), None),
    ],
)
def test_retry_after_never_asks_for_less_than_is_meant(
    failure: RateLimited | Overloaded | ServerError, header: str | None
) -> None:
    assert retry_after_header(failure, _NOW).get("retry-after") == header


def _asked(**changes: Any) -> Asked:  # noqa: ANN401 - fields of Asked
    values: dict[str, Any] = {
        "prompt": "Essay A\nred green blue\n\nEssay B\nred red red",
        "characters": 40,
        "schema": None,
        "max_tokens": None,
        "reasons": False,
    }
    return Asked(**(values | changes))


def test_answer_fills_whatever_schema_was_asked_for() -> None:
    schema = {
        "properties": {
            "better": {"$ref": "#/$defs/Side"},
            "sure": {"type": "integer"},
            "why": {"type": "string"},
        },
        "$defs": {"Side": {"enum": ["A", "B"]}},
    }

    answer = draft(
        Verdict(winner=Winner.B, confidence=0.9, justification="So."), _asked(schema=schema)
    )

    assert orjson.loads(answer.text) == {"better": "B", "sure": 1, "why": "So."}


def test_answer_without_a_schema_is_the_verdict_that_the_worker_asks_for_in_words() -> None:
    answer = draft(Verdict(), _asked())

    assert orjson.loads(answer.text).keys() == {"winner", "justification", "confidence"}


def test_first_essay_wins_where_it_is_better() -> None:
    assert orjson.loads(draft(Verdict(), _asked()).text)["winner"] == "Essay A"


def test_reasoning_counts_against_the_limit_and_may_leave_no_answer() -> None:
    answer = draft(Verdict(), _asked(reasons=True, max_tokens=10))

    assert (answer.text, answer.stop) == ("", "length")
    assert answer.tokens is not None
    assert (answer.tokens.completion, answer.tokens.reasoning) == (10, 10)


def test_behaviour_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="confidence"):
        Verdict(confidence=1.5)
    with pytest.raises(ValidationError, match="latency_s"):
        Slow(latency_s=-1)


async def test_waiter_is_told_of_each_call() -> None:
    provider = FakeProvider(ProviderName.OPENAI)
    call = Call(method="POST", path="/", query="", headers={}, body=None)
    waiting = asyncio.ensure_future(provider.until_calls(2))

    for _ in range(2):
        await asyncio.sleep(0)
        assert not waiting.done()
        with provider.noting(call):
            pass
    await waiting

    assert (provider.calls, provider.in_flight, provider.max_in_flight) == (2, 0, 1)


async def test_each_server_has_scripts_of_its_own() -> None:
    one, other = FakeProviderServer(), FakeProviderServer()

    one.provider(ProviderName.OPENAI).always(Overloaded())

    assert other.provider(ProviderName.OPENAI).standing == Verdict()
