from __future__ import annotations

from decimal import Decimal

import pytest

from llm_worker.domain.estimate import (
    NANO_USD_AT_MOST,
    most_usage,
    nano_usd,
    nano_usd_down,
    usd_of,
)
from llm_worker.domain.judging import DEFAULT_MAX_TOKENS, expected_usage
from llm_worker.domain.outcome import Attempt, Repair
from tests.support.builders import NOW, TARGET, request_of


def _attempt(repair: Repair | None = None) -> Attempt:
    return Attempt(
        attempt_id=request_of().request_id, number=1, target=TARGET, started_at=NOW, repair=repair
    )


def test_estimate_is_above_what_is_expected_and_grows_with_every_byte() -> None:
    short, long = request_of(essay_a="a" * 1_000), request_of(essay_a="é" * 1_000)
    usages = [most_usage(each, _attempt()) for each in (short, long)]
    prompts = [each.prompt_tokens or 0 for each in usages]
    assert prompts[1] - prompts[0] == 1_000
    assert prompts[0] > (expected_usage(short.prompt.size_bytes).prompt_tokens or 0)
    assert prompts[0] > short.prompt.size_bytes


def test_answer_is_as_long_as_it_may_be() -> None:
    wanted = request_of(llm_config_overrides={"max_tokens_override": 50})
    assert most_usage(wanted, _attempt()).completion_tokens == 50
    assert most_usage(request_of(), _attempt()).completion_tokens == DEFAULT_MAX_TOKENS


def test_own_system_prompt_and_what_a_repair_shows_are_in_it() -> None:
    request = request_of()
    plain = most_usage(request, _attempt()).prompt_tokens or 0
    repair = Repair(answer="ü" * 500, fault="f" * 100)
    assert (most_usage(request, _attempt(repair)).prompt_tokens or 0) > plain + 1_100
    wordy = request_of(llm_config_overrides={"system_prompt_override": "s" * 5_000})
    assert (most_usage(wordy, _attempt()).prompt_tokens or 0) > plain + 4_000


@pytest.mark.parametrize(
    ("usd", "up", "down"),
    [
        ("0", 0, 0),
        ("1", 10**9, 10**9),
        ("0.0000000001", 1, 0),
        ("0.0000000019", 2, 1),
        ("99999999999", NANO_USD_AT_MOST, NANO_USD_AT_MOST),
    ],
)
def test_costs_are_rounded_up_and_limits_down(usd: str, up: int, down: int) -> None:
    assert (nano_usd(Decimal(usd)), nano_usd_down(Decimal(usd))) == (up, down)


def test_amounts_are_told_in_usd() -> None:
    assert usd_of(1_500_000_000) == Decimal("1.5")
