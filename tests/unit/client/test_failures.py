from __future__ import annotations

import pytest

from llm_worker.client.failures import ComparisonError, RateLimitError, error_of, error_of_answer
from llm_worker.contracts.http import ErrorAnswer
from llm_worker.contracts.vocabulary import ErrorCode
from tests.support.results import golden_result


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_an_error_of_its_own(code: ErrorCode) -> None:
    kind = ComparisonError.by_code(code)

    assert kind.code is code
    assert [k for k in ComparisonError.__subclasses__() if k.code is code] == [kind]


def test_verdict_is_no_error() -> None:
    assert error_of(golden_result("verdict")) is None


def test_error_tells_what_the_result_tells() -> None:
    result = golden_result("error")
    assert result.error_detail is not None

    error = error_of(result)

    assert isinstance(error, ComparisonError)
    assert error.code is result.error_detail.error_code
    assert str(error) == result.error_detail.message
    assert error.correlation_id == result.correlation_id
    assert error.is_retryable is result.error_detail.details["is_retryable"]
    assert error.facts.details == result.error_detail.details
    assert error.facts.result is result


@pytest.mark.parametrize(("said", "wait_s"), [(7, 7), (2.5, 2.5), (None, None), ("soon", None)])
def test_wait_is_a_number_of_seconds_or_unknown(said: object, wait_s: float | None) -> None:
    wire = golden_result("error").model_dump(mode="json")
    detail = wire["error_detail"] | {"details": {"retry_after": said}}

    error = error_of(golden_result("error", error_detail=detail))

    assert error is not None
    assert error.retry_after_s == wait_s
    assert not error.is_retryable, "nobody has said that it is"


def test_http_answer_becomes_the_error_of_its_code() -> None:
    answer = ErrorAnswer(error="slower", error_type=ErrorCode.RATE_LIMIT, retry_after=3)

    error = error_of_answer(answer, is_retryable=True)

    assert isinstance(error, RateLimitError)
    assert (error.retry_after_s, error.is_retryable, str(error)) == (3, True, "slower")
