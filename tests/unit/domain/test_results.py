from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from llm_worker.contracts.result import JUSTIFICATION_LIMIT, LLMComparisonResultV1
from llm_worker.contracts.vocabulary import ErrorCode, Winner
from llm_worker.domain.errors import ProviderTimeoutError, RateLimitedError
from llm_worker.domain.outcome import Rejected
from llm_worker.domain.results import (
    completed_result,
    failed_result,
    rejected_result,
    shrunk,
    trace_id_of,
)
from llm_worker.domain.verdict import Billing, CallFacts
from tests.support.builders import (
    attempt_of,
    codec_of,
    completed_of,
    completion_of,
    delivery_of,
    failed_of,
    hit_of,
    request_of,
)

_TRACE_ID, _SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_TRACE = {"traceparent": f"00-{_TRACE_ID}-{_SPAN_ID}-01"}


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


def test_verdict_from_the_cache_is_free() -> None:
    result = completed_result(replace(completed_of(request_of()), hit=hit_of()))
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
    limited = RateLimitedError("slow down", facts=CallFacts(http_status=429), retry_after_s=2.0)
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
    assert (detail.trace_id, detail.span_id) == (None, None)
    assert detail.operation == "judge"
    assert (detail.details["provider"], detail.details["model"]) == ("mock", "mock-judge-1")
    assert detail.details["errors"][1]["message"] == "no answer"
    assert detail.details["errors"][1]["model"] == "mock-judge-1"


def test_rejection_tells_whose_request_could_not_be_accepted_and_that_it_cost_nothing() -> None:
    rejected = codec_of().decode(delivery_of(b"no json"))
    assert isinstance(rejected, Rejected)
    result = rejected_result(replace(rejected, trace=_TRACE), UUID(int=7))
    assert LLMComparisonResultV1.model_validate(result.model_dump()) == result
    assert (result.request_id, result.correlation_id) == (str(rejected.request_id), UUID(int=7))
    assert (result.cost_estimate, result.cost_known, result.cached) == (0, True, False)
    assert (result.attempts, result.response_time_ms) == (0, 0)
    detail = result.error_detail
    assert detail is not None
    assert (detail.operation, detail.error_code) == ("accept", ErrorCode.PARSING_ERROR)
    assert (detail.trace_id, detail.span_id) == (result.trace_id, _SPAN_ID) == (_TRACE_ID, _SPAN_ID)


def test_traced_request_has_its_trace_in_its_result_and_in_its_error() -> None:
    request = replace(request_of(), trace=_TRACE)
    assert completed_result(completed_of(request)).trace_id == _TRACE_ID
    result = failed_result(failed_of(request, RateLimitedError("slow down")))
    assert result.trace_id == _TRACE_ID
    assert result.error_detail is not None
    assert (result.error_detail.trace_id, result.error_detail.span_id) == (_TRACE_ID, _SPAN_ID)


def test_failure_tells_the_providers_own_ids_of_the_calls() -> None:
    facts = CallFacts(http_status=429, provider_request_id="req_011")
    limited = RateLimitedError("slow down", facts=facts)
    detail = failed_result(failed_of(request_of(), limited, attempt_of(limited))).error_detail
    assert detail is not None
    assert detail.details["provider_request_id"] == "req_011"
    assert detail.details["errors"][0]["provider_request_id"] == "req_011"


def test_parameters_that_were_left_out_are_said_once_over_all_attempts() -> None:
    first = CallFacts(adjustments=("temperature: not taken by m1",))
    second = CallFacts(adjustments=("temperature: not taken by m1", "effort: not taken by m2"))
    timeout = ProviderTimeoutError("no answer", billing=Billing(), facts=first)
    bought = replace(completion_of(), facts=second)
    attempts = attempt_of(timeout), attempt_of(bought, number=2)
    expected = ["temperature: not taken by m1", "effort: not taken by m2"]
    for result in (
        completed_result(completed_of(request_of(), *attempts, completion=bought)),
        failed_result(failed_of(request_of(), timeout, *attempts)),
    ):
        assert result.request_metadata["adjustments"] == expected


def test_nothing_is_said_of_parameters_where_all_were_taken() -> None:
    bought = completion_of()
    result = completed_result(completed_of(request_of(), attempt_of(bought), completion=bought))
    assert "adjustments" not in result.request_metadata


def test_cost_of_a_result_is_the_sum_of_what_its_attempts_cost() -> None:
    billing = Billing(cost_usd=Decimal("0.1"))
    cut = ProviderTimeoutError("cut", billing=billing)
    unsent = RateLimitedError("slow down")
    bought = completion_of(cost_usd=Decimal("0.2"))
    attempts = attempt_of(cut), attempt_of(unsent, number=2), attempt_of(bought, number=3)
    result = completed_result(completed_of(request_of(), *attempts, completion=bought))
    assert (result.cost_estimate, result.cost_known) == (0.3, True)
    assert result.attempts == 3


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
    assert short.justification is not None
    assert short.justification.startswith("word word")
    assert len(short.justification) <= 80
    assert short.winner is result.winner


def test_error_result_shrinks_too() -> None:
    result = failed_result(failed_of(request_of(), RateLimitedError("slow down")))
    assert [each.justification for each in shrunk(result)] == [None, None]


def test_trace_id_is_read_out_of_the_traceparent() -> None:
    assert trace_id_of(_TRACE) == _TRACE_ID
    assert trace_id_of({}) is None
