from __future__ import annotations

import asyncio
import gzip
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from llm_worker.adapters.web import comparison
from llm_worker.adapters.web.answers import RequestError, unavailable
from llm_worker.adapters.web.bodies import MAX_BODY_BYTES
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.result import ErrorDetail
from llm_worker.contracts.vocabulary import ErrorCode
from llm_worker.domain.request import build_prompt
from tests.support.site import NOW, FakeSite

if TYPE_CHECKING:
    from collections.abc import Callable

_PATH = "/api/v1/comparison"
_ASKED = {"user_prompt": "Which is better?", "essay_a": "A.", "essay_b": "B."}
_SHA256 = build_prompt(LLMComparisonRequestV1.model_validate(_ASKED)).sha256


def _failure(code: ErrorCode, **details: Any) -> dict[str, Any]:  # noqa: ANN401 - as JSON
    detail = ErrorDetail(
        error_code=code,
        message="it failed: do this",
        correlation_id=uuid4(),
        timestamp=NOW,
        service="llm-worker",
        operation="comparison",
        details=details,
    )
    return {"winner": None, "justification": None, "confidence": None, "error_detail": detail}


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - the fake tells nobody
            await asyncio.sleep(0.001)


async def test_request_without_a_callback_topic_is_answered_with_its_verdict() -> None:
    site = FakeSite()
    async with site.client() as client:
        answer = await client.post(_PATH, json={**_ASKED, "metadata": {"pair": 7}})
        body = await answer.json()
    [(asked, event_id)] = site.comparisons.compared
    assert answer.status == 200
    assert asked.essay_a == "A."
    assert body == {
        "winner": "Essay A",
        "justification": "It says more.",
        "confidence": 4.0,
        "provider": "mock",
        "model": "mock-judge-1",
        "response_time_ms": 12,
        "cached": False,
        "token_usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        "cost_estimate": 0.0,
        "cost_known": True,
        "correlation_id": str(event_id),
        "trace_id": None,
        "metadata": {"pair": 7},
    }


async def test_request_with_a_callback_topic_is_queued() -> None:
    site, correlation_id = FakeSite(), str(uuid4())
    asked = {**_ASKED, "callback_topic": "huleedu.cj", "correlation_id": correlation_id}
    async with site.client() as client:
        answer = await client.post(_PATH, json=asked)
        body = await answer.json()
    [(_, event_id)] = site.comparisons.queued
    assert answer.status == 202
    assert body["queue_id"] == str(event_id)
    assert body["status"] == "queued"
    assert correlation_id in body["message"]
    assert not site.comparisons.compared


async def test_idempotency_key_names_the_request() -> None:
    site, uuid = FakeSite(), uuid4()
    async with site.client() as client:
        for key in (str(uuid), "order 7", "order 7", "order 8"):
            await client.post(_PATH, json=_ASKED, headers={"Idempotency-Key": key})
    first, second, again, other = (event_id for _, event_id in site.comparisons.compared)
    assert first == uuid
    assert second == again
    assert len({first, second, other}) == 3


async def test_each_request_without_a_key_is_one_of_its_own() -> None:
    site = FakeSite()
    async with site.client() as client:
        await client.post(_PATH, json=_ASKED)
        await client.post(_PATH, json=_ASKED)
    (_, first), (_, second) = site.comparisons.compared
    assert first != second


@pytest.mark.parametrize("key", ["", "x" * 256, "\udcff", "é"])
async def test_idempotency_key_of_no_too_many_or_strange_characters_is_refused(key: str) -> None:
    site = FakeSite()
    async with site.client() as client:
        answer = await client.post(_PATH, json=_ASKED, headers={"Idempotency-Key": key})
        body = await answer.json()
    assert answer.status == 400
    assert "Idempotency-Key must have 1 to 255 ASCII characters" in body["error"]
    assert not site.comparisons.compared


async def test_callers_trace_context_goes_on() -> None:
    site = FakeSite()
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "vendor=1"}
    async with site.client() as client:
        await client.post(_PATH, json=_ASKED, headers=trace)
        await client.post(_PATH, json=_ASKED, headers={"traceparent": "é"})
    assert site.comparisons.traces == [trace, {}]


@pytest.mark.parametrize(
    ("code", "details", "status", "retry_after"),
    [
        (ErrorCode.RATE_LIMIT, {"is_retryable": True, "retry_after": 2.5}, 503, 2.5),
        (ErrorCode.TIMEOUT, {"is_retryable": True}, 503, None),
        (ErrorCode.LLM_COST_LIMIT_EXCEEDED, {"is_retryable": False}, 400, None),
        (ErrorCode.CONFIGURATION_ERROR, {}, 400, None),
    ],
)
async def test_error_result_is_503_when_repeating_may_help_and_400_when_not(
    code: ErrorCode, details: dict[str, Any], status: int, retry_after: float | None
) -> None:
    site, correlation_id = FakeSite(), uuid4()
    site.comparisons.changes = _failure(code, **details)
    async with site.client() as client:
        answer = await client.post(_PATH, json={**_ASKED, "correlation_id": str(correlation_id)})
        body = await answer.json()
    assert answer.status == status
    assert answer.headers.get("Retry-After") == (None if retry_after is None else "3")
    words = body.pop("error")
    assert words.startswith("it failed: do this")
    assert ("try again with another" in words) == (status == 503)
    assert body == {
        "error_type": code,
        "correlation_id": str(correlation_id),
        "retry_after": retry_after,
        "is_final": True,
    }


async def test_what_keeps_a_request_from_going_out_is_told_with_its_correlation_id() -> None:
    site = FakeSite()
    site.comparisons.error = unavailable("no broker answers", retry_after_s=5)
    correlation_id = str(uuid4())
    async with site.client() as client:
        answer = await client.post(_PATH, json={**_ASKED, "correlation_id": correlation_id})
        body = await answer.json()
    assert answer.status == 503
    assert body["correlation_id"] == correlation_id
    assert "Ask again with Idempotency-Key: " in body["error"]
    assert answer.headers["Retry-After"] == "5"


async def test_bodies_in_hand_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison._Room.__init__, "__defaults__", (200,))
    site = FakeSite()
    async with site.client() as client:
        assert (await client.post(_PATH, json={"user_prompt": "x" * 200})).status == 503
        for _ in range(3):
            assert (await client.post(_PATH, json=_ASKED)).status == 200


async def test_packed_body_takes_the_room_that_it_may_need_and_then_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = {"user_prompt": "x", "metadata": {"y": "z" * 1000}}
    packed = gzip.compress(json.dumps(large).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    monkeypatch.setattr(comparison._Room.__init__, "__defaults__", (MAX_BODY_BYTES + 1_500,))
    site = FakeSite()
    site.comparisons.may_answer.clear()
    async with site.client() as client:
        first = asyncio.ensure_future(client.post(_PATH, data=packed, headers=headers))
        await _until(lambda: len(site.comparisons.compared) == 1)
        second = asyncio.ensure_future(client.post(_PATH, data=packed, headers=headers))
        await _until(lambda: len(site.comparisons.compared) == 2)
        assert (await client.post(_PATH, data=packed, headers=headers)).status == 503
        site.comparisons.may_answer.set()
        assert [(await each).status for each in (first, second)] == [200, 200]


async def test_verdict_on_other_texts_under_the_same_key_is_not_told() -> None:
    """The first one's caller may have gone while it was judged: the second gets none of it."""
    site = FakeSite()
    site.comparisons.changes = {"request_metadata": {"prompt_sha256": "0" * 64}}
    async with site.client() as client:
        answer = await client.post(_PATH, json=_ASKED, headers={"Idempotency-Key": "k"})
        body = await answer.json()
    assert answer.status == 400
    assert body["is_final"] is True
    assert "for other texts" in body["error"]
    site.comparisons.changes = {"request_metadata": {"prompt_sha256": _SHA256}}
    async with site.client() as client:
        assert (await client.post(_PATH, json=_ASKED)).status == 200


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({}, "user_prompt"),
        ({"user_prompt": " "}, "user_prompt"),
        ({"user_prompt": "x", "essay_a": "planted essay"}, "essay_a and essay_b go together"),
        ({"user_prompt": "x", "replicate": -1}, "replicate"),
        ([], "the body"),
    ],
)
async def test_invalid_request_is_told_which_field_is_wrong_and_never_bought(
    asked: object, named: str
) -> None:
    site = FakeSite()
    async with site.client() as client:
        answer = await client.post(_PATH, json=asked)
        body = await answer.json()
    assert answer.status == 400
    assert body["error_type"] == "VALIDATION_ERROR"
    assert named in body["error"]
    assert "planted" not in body["error"]
    assert not site.comparisons.compared


async def test_our_own_defect_is_answered_with_its_name_alone() -> None:
    site = FakeSite()
    site.comparisons.error = ZeroDivisionError("planted essay text")
    async with site.client() as client:
        answer = await client.post(_PATH, json=_ASKED)
        body = await answer.json()
    assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert body["error_type"] == "UNKNOWN_ERROR"
    assert "ZeroDivisionError" in body["error"]
    assert "planted" not in body["error"]
    assert site.faults == [site.comparisons.error]


def test_error_of_a_request_is_an_answer() -> None:
    error = RequestError(HTTPStatus.CONFLICT, ErrorCode.INVALID_REQUEST, "why")
    assert (error.answer.error, error.answer.error_type) == ("why", ErrorCode.INVALID_REQUEST)
