from __future__ import annotations

from decimal import Decimal

from llm_worker.contracts.result import JUSTIFICATION_LIMIT, LLMComparisonResultV1
from llm_worker.contracts.vocabulary import ErrorCode, Winner
from llm_worker.domain.errors import ProviderTimeoutError, RateLimitedError
from llm_worker.domain.results import completed_result, failed_result, shrunk, trace_id_of
from llm_worker.domain.verdict import Billing
from tests.support.builders import (
    attempt_of,
    completed_of,
    completion_of,
    failed_of,
    request_of,
)


def test_verdict_is_told_as_the_contract_says() -> None:
    request = request_of(metadata={"batch": 7})
    bought = completion_of(cost_usd=Decimal("0.25"))
    result = completed_result(completed_of(request, attempt_of(bought), completion=bought))
    assert LLMComparisonResultV1.model_validate(result.model_dump()) == result
    assert (result.winner, result.confidence, result.error_detail) == (Winner.A, 3.0, None)
    assert (result.cost_estimate, result.cost_known, result.attempts) == (0.25, True, 1)
    assert result.token_usage.total_tokens == 15
    assert not result.cached
    assert result.request_id == str(request.request_id)
    assert result.request_metadata == {"batch": 7, "prompt_sha256": request.prompt.sha256}


def test_verdict_that_nobody_was_asked_for_is_cached_and_free() -> None:
    result = completed_result(completed_of(request_of()))
    assert result.cached
    assert (result.attempts, result.cost_estimate, result.cost_known) == (0, 0.0, True)


def test_long_justification_is_cut_to_the_wires_limit() -> None:
    long = completion_of(justification="word " * 200)
    justification = completed_result(completed_of(request_of(), completion=long)).justification
    assert justification is not None
    assert len(justification) <= JUSTIFICATION_LIMIT
    assert justification.endswith("word…")


def test_unknown_cost_is_zero_and_said_to_be_unknown() -> None:
    bought = completion_of(cost_usd=None)
    result = completed_result(completed_of(request_of(), attempt_of(bought)))
    assert (result.cost_estimate, result.cost_known) == (0.0, False)


def test_failure_tells_each_attempt_in_order() -> None:
    limited = RateLimitedError("slow down", http_status=429, retry_after_s=2.0)
    timeout = ProviderTimeoutError("no answer", billing=Billing())
    attempts = attempt_of(limited), attempt_of(timeout, number=2)
    result = failed_result(failed_of(request_of(), timeout, *attempts))
    assert LLMComparisonResultV1.model_validate(result.model_dump()) == result
    assert (result.winner, result.justification, result.confidence) == (None, None, None)
    assert not result.cached
    assert not result.cost_known
    detail = result.error_detail
    assert detail is not None
    assert detail.error_code is ErrorCode.TIMEOUT
    assert detail.details["is_retryable"]
    assert [each["error_code"] for each in detail.details["errors"]] == ["RATE_LIMIT", "TIMEOUT"]
    assert detail.details["errors"][0]["retry_after"] == 2.0
    assert detail.details["errors"][0]["http_status"] == 429


def test_too_large_result_loses_metadata_first_and_words_second() -> None:
    request = request_of(metadata={"big": "x" * 1000})
    long = completion_of(justification="word " * 90)
    result = completed_result(completed_of(request, completion=long))
    without_metadata, short = shrunk(result)
    assert without_metadata.justification == result.justification
    assert without_metadata.request_metadata == {
        "prompt_sha256": request.prompt.sha256,
        "metadata_dropped": "the result was too large",
    }
    assert len(short.justification or "") <= 80
    assert short.winner is result.winner


def test_error_result_shrinks_too() -> None:
    result = failed_result(failed_of(request_of(), RateLimitedError("slow down")))
    assert [each.justification for each in shrunk(result)] == [None, None]


def test_trace_id_is_read_out_of_the_traceparent() -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    assert trace_id_of({"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}) == trace_id
    assert trace_id_of({}) is None
