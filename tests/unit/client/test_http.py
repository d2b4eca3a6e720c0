from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from llm_worker.client.errors import (
    ClientError,
    NoAnswerError,
    NotAllowedError,
    UnreachableError,
    UnreadableResultError,
)
from llm_worker.client.failures import (
    ComparisonTimeoutError,
    ContentTooLongError,
    CostLimitExceededError,
    RateLimitError,
    RequestValidationError,
    ServiceUnavailableError,
)
from llm_worker.client.http import HttpComparisonClient
from llm_worker.client.judge import new_request
from llm_worker.contracts.vocabulary import Winner
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.client.judgement import Judgement

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
VERDICT = {
    "winner": "Essay B",
    "justification": "because",
    "confidence": 4.0,
    "provider": "mock",
    "model": "m",
    "response_time_ms": 7,
    "cached": False,
    "token_usage": {},
    "cost_estimate": 0.25,
    "cost_known": True,
    "correlation_id": str(UUID(int=7)),
    "trace_id": None,
    "metadata": {"pair": 7},
    "a_field_of_tomorrow": 1,
}


@pytest.mark.parametrize("key", ["", "schüler-7", "a\nb", "k" * 256])
async def test_idempotency_key_that_no_header_carries_is_refused(key: str) -> None:
    async with HttpComparisonClient("http://worker:8080") as client:
        with pytest.raises(RequestValidationError, match="idempotency_key: give 1 to 255"):
            await client.judge(new_request("a", "b"), idempotency_key=key)


def test_api_key_that_no_header_carries_is_refused_unquoted() -> None:
    with pytest.raises(ValueError, match="api_key has a character") as caught:
        HttpComparisonClient("http://worker:8080", api_key="“planted”")
    assert "planted" not in str(caught.value)


class Worker:
    """Answers each request with the next of its answers, and with the last one for ever."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def keys(self) -> set[str]:
        return {request.headers["Idempotency-Key"] for request in self.asked}


def failed(status: int, code: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    return httpx.Response(status, json={"error": "do this", "error_type": code, **more})


def busy(**more: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    return failed(503, "SERVICE_UNAVAILABLE", **more)


def verdict() -> httpx.Response:
    return httpx.Response(200, json=VERDICT)


def ask(
    answer: Callable[[httpx.Request], httpx.Response],
    *,
    timeout_s: float = 300,
    idempotency_key: str | None = None,
) -> Judgement:
    async def asking() -> Judgement:
        async with HttpComparisonClient(
            "http://worker:8080",
            api_key="planted-key",
            transport=httpx.MockTransport(answer),
            now=lambda: NOW,
        ) as client:
            request = new_request("the first essay", "the second essay", metadata={"pair": 7})
            return await client.judge(request, timeout_s=timeout_s, idempotency_key=idempotency_key)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(asking())


def test_verdict_comes_as_a_judgement_and_the_worker_is_told_the_deadline() -> None:
    worker = Worker(verdict())
    judgement = ask(worker, timeout_s=60)
    assert (judgement.winner, judgement.cost_usd) == (Winner.B, Decimal("0.25"))
    assert judgement.metadata == {"pair": 7}
    [asked] = worker.asked
    assert (asked.method, str(asked.url)) == ("POST", "http://worker:8080/api/v1/comparison")
    assert asked.headers["Authorization"] == "Bearer planted-key"
    body = json.loads(asked.content)
    assert (body["essay_a"], body["not_after"]) == ("the first essay", "2026-11-23T12:01:00Z")


@pytest.mark.parametrize(
    "trouble",
    [
        busy(),
        busy(retry_after=5),
        failed(503, "TIMEOUT"),
        failed(409, "INVALID_REQUEST", retry_after=1),
        failed(429, "RATE_LIMIT", retry_after=30),
        failed(408, "TIMEOUT"),
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(504, headers={"Retry-After": "2"}),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("closed"),
    ],
    ids=str,
)
def test_request_is_sent_again_under_its_key_until_there_is_an_answer(
    trouble: httpx.Response | Exception,
) -> None:
    worker = Worker(trouble, trouble, verdict())
    assert ask(worker).winner is Winner.B
    assert len(worker.asked) == 3
    assert len(worker.keys) == 1
    assert len({request.content for request in worker.asked}) == 1


def test_two_requests_have_two_keys() -> None:
    worker = Worker(verdict())
    ask(worker)
    ask(worker)
    assert len(worker.keys) == 2


def test_request_with_a_key_of_its_own_goes_as_it_is() -> None:
    worker = Worker(verdict())
    ask(worker, idempotency_key="pair-7")
    assert worker.keys == {"pair-7"}
    assert "not_after" not in json.loads(worker.asked[0].content)


@pytest.mark.parametrize(
    ("answer", "kind", "is_retryable"),
    [
        (failed(400, "LLM_COST_LIMIT_EXCEEDED", is_final=True), CostLimitExceededError, False),
        (failed(400, "VALIDATION_ERROR"), RequestValidationError, False),
        (failed(503, "RATE_LIMIT", is_final=True, retry_after=3), RateLimitError, True),
        (failed(503, "SERVICE_UNAVAILABLE", is_final=True), ServiceUnavailableError, True),
    ],
    ids=str,
)
def test_failure_that_stays_the_answer_is_not_asked_for_again(
    answer: httpx.Response, kind: type[Exception], *, is_retryable: bool
) -> None:
    worker = Worker(answer)
    with pytest.raises(kind, match="do this") as raised:
        ask(worker)
    assert len(worker.asked) == 1
    assert getattr(raised.value, "is_retryable", None) is is_retryable


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (failed(401, "AUTHENTICATION_ERROR"), NotAllowedError, "api_key.*do this"),
        (failed(403, "AUTHORIZATION_ERROR"), NotAllowedError, "do this"),
        (failed(404, "INVALID_REQUEST"), ClientError, "base_url"),
        (httpx.Response(404, text="the first essay"), ClientError, "base_url"),
        (failed(413, "INVALID_REQUEST"), ContentTooLongError, "shorten"),
        (httpx.Response(301, headers={"Location": "/"}), ClientError, "HTTP 301.*base_url"),
        (httpx.Response(520, text="the first essay"), ClientError, "HTTP 520.*base_url"),
        (httpx.Response(200, text="the first essay"), UnreadableResultError, "base_url"),
        (httpx.LocalProtocolError("planted-key"), ClientError, "check api_key"),
    ],
    ids=str,
)
def test_what_no_repeating_mends_says_what_to_do(
    answer: httpx.Response | Exception, kind: type[Exception], words: str
) -> None:
    worker = Worker(answer)
    with pytest.raises(kind, match=words) as raised:
        ask(worker)
    assert len(worker.asked) == 1
    assert "essay" not in str(raised.value)
    assert "planted-key" not in str(raised.value)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([httpx.ConnectError("refused")], UnreachableError),
        ([httpx.ReadError("reset"), httpx.ConnectError("refused")], NoAnswerError),
        ([failed(429, "RATE_LIMIT", retry_after=5)], RateLimitError),
        ([httpx.ConnectError("refused"), failed(408, "TIMEOUT")], ComparisonTimeoutError),
        ([busy(retry_after=5)], NoAnswerError),
        ([failed(503, "TIMEOUT"), httpx.ConnectError("refused")], NoAnswerError),
        ([httpx.Response(504), failed(429, "RATE_LIMIT")], NoAnswerError),
        ([failed(409, "INVALID_REQUEST", retry_after=1)], NoAnswerError),
    ],
    ids=str,
)
def test_when_the_time_is_up_the_error_says_whether_an_answer_may_still_come(
    answers: list[httpx.Response | Exception], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        ask(Worker(*answers), timeout_s=30)


def test_answer_that_never_comes_is_not_waited_for_longer_than_told() -> None:
    async def silence(request: httpx.Request) -> httpx.Response:
        del request
        await asyncio.sleep(10_000)
        raise AssertionError

    with pytest.raises(NoAnswerError, match="within 30 s"):
        ask(silence, timeout_s=30)  # type: ignore[arg-type] # httpx takes both kinds of function


async def test_reply_topic_and_values_that_are_no_json_are_refused_before_anything_is_sent() -> (
    None
):
    worker = Worker(verdict())
    async with HttpComparisonClient(
        "http://worker:8080", transport=httpx.MockTransport(worker)
    ) as client:
        request = new_request("one", "two")
        with pytest.raises(RequestValidationError, match="callback_topic"):
            await client.judge(request.model_copy(update={"callback_topic": "mine"}))
        with pytest.raises(RequestValidationError, match="metadata"):
            await client.compare("one", "two", metadata={"pair": object()})
    assert worker.asked == []


@pytest.mark.parametrize("address", ["worker:8080", "/api", "ftp://worker", "http://"])
def test_address_of_no_web_server_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        HttpComparisonClient(address)


def test_refusal_after_a_try_that_may_have_been_taken_is_no_reason_to_ask_elsewhere() -> None:
    worker = Worker(httpx.Response(504), failed(401, "AUTHENTICATION_ERROR"))
    with pytest.raises(NoAnswerError, match=r"may have been taken.*api_key"):
        ask(worker)
    assert len(worker.asked) == 2


def test_time_that_runs_out_while_a_later_try_is_under_way_leaves_it_open() -> None:
    """The first was turned away, but the second may be bought: nobody should ask elsewhere."""
    asked = []

    async def taken_the_second_time(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) > 1:
            await asyncio.sleep(10_000)
        return failed(429, "RATE_LIMIT", retry_after=1)

    with pytest.raises(NoAnswerError, match="do this"):
        ask(taken_the_second_time, timeout_s=30)  # type: ignore[arg-type] # as above


def test_worker_that_says_to_come_back_at_once_is_not_asked_without_end() -> None:
    asked_s = []

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        asked_s.append(asyncio.get_running_loop().time())
        return busy(retry_after=0) if len(asked_s) < 20 else verdict()

    ask(answer)
    assert asked_s[-1] - asked_s[0] > 10


def test_clients_that_are_told_the_same_wait_do_not_come_back_together() -> None:
    waits_s = set()
    for _ in range(5):
        asked_s = []

        def answer(request: httpx.Request) -> httpx.Response:
            del request
            asked_s.append(asyncio.get_running_loop().time())  # noqa: B023 - called in this round
            return busy(retry_after=5) if len(asked_s) == 1 else verdict()  # noqa: B023 - the same

        ask(answer)
        waits_s.add(asked_s[1] - asked_s[0])
    assert len(waits_s) == 5
    assert min(waits_s) >= 5
