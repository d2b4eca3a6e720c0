from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from llm_worker.cli.providers.trial import trial_as_json, trial_in_words
from llm_worker.domain.errors import AuthenticationFailedError, TruncatedAnswerError
from llm_worker.domain.verdict import Billing, CallFacts, Usage
from tests.support.builders import attempt_of, completion_of

_FACTS = CallFacts(
    provider_request_id="req_7", http_status=200, adjustments=("no temperature", "no effort")
)


def test_verdict_is_told_with_all_that_one_asks_of_a_call() -> None:
    completion = replace(completion_of(cost_usd=Decimal("0.00012300")), facts=_FACTS)

    lines = trial_in_words(attempt_of(completion)).splitlines()

    assert lines == [
        "verdict         Essay A, confidence 3.0 of 5",
        "why             It argues better.",
        "judged by       mock, mock-judge-1",
        "tokens          10 in, 5 out",
        "cost            USD 0.000123",
        "time            12 ms",
        "request id      req_7",
        "adjusted        no temperature",
        "adjusted        no effort",
    ]


def test_what_is_unknown_is_never_0() -> None:
    completion = replace(completion_of(), billing=Billing(usage=Usage(prompt_tokens=10)))

    words = trial_in_words(attempt_of(completion))

    assert "tokens          10 in, unknown out" in words
    assert "cost            unknown" in words
    assert trial_as_json(attempt_of(completion))["cost_usd"] is None


def test_failure_that_nobody_billed_is_one_line_with_code_and_request_id() -> None:
    error = AuthenticationFailedError("no such key", facts=_FACTS)

    words = trial_in_words(attempt_of(error))

    assert words == "AUTHENTICATION_ERROR: no such key (request id req_7)"


def test_failure_that_was_billed_says_what_it_cost() -> None:
    error = TruncatedAnswerError("cut off", billing=Billing(cost_usd=Decimal("0.5")))
    perhaps = TruncatedAnswerError("cut off", billing=Billing())

    assert trial_in_words(attempt_of(error)) == "INVALID_RESPONSE: cut off (cost USD 0.5)"
    assert trial_in_words(attempt_of(perhaps)) == "INVALID_RESPONSE: cut off (cost unknown)"


def test_program_gets_a_verdict_with_money_as_text() -> None:
    completion = replace(completion_of(cost_usd=Decimal("1E-7")), facts=_FACTS)

    document = json.loads(json.dumps(trial_as_json(attempt_of(completion))))

    assert document == {
        "success": True,
        "provider": "mock",
        "model": "mock-judge-1",
        "winner": "Essay A",
        "justification": "It argues better.",
        "confidence": 3.0,
        "is_billed": True,
        "cost_usd": "0.0000001",
        "token_usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        "response_time_ms": 12,
        "provider_request_id": "req_7",
        "adjustments": ["no temperature", "no effort"],
    }


def test_program_gets_a_failure_with_its_code() -> None:
    error = AuthenticationFailedError("no such key", facts=CallFacts(http_status=401))

    document = json.loads(json.dumps(trial_as_json(attempt_of(error))))

    assert (document["success"], document["error_code"]) == (False, "AUTHENTICATION_ERROR")
    assert (document["message"], document["http_status"]) == ("no such key", 401)
    assert (document["is_billed"], document["cost_usd"]) == (False, None)
