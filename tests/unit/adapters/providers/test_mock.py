from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson
import pytest

from llm_worker.adapters.providers.catalog import FlatPrices
from llm_worker.adapters.providers.mock import MockBehaviour, MockProvider
from llm_worker.adapters.providers.mock_judge import Dice, judge, latent_quality, split_essays
from llm_worker.contracts.vocabulary import Winner
from llm_worker.dev.samples import load_essays
from llm_worker.domain.errors import MalformedAnswerError, ProviderDownError, RateLimitedError
from llm_worker.domain.framing import with_essays
from llm_worker.domain.outcome import Attempt
from tests.support.builders import NOW, TARGET, request_of

if TYPE_CHECKING:
    from pathlib import Path

    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion, Verdict

_GOOD = "Careful students weigh several arguments, examine evidence, and conclude convincingly."
_POOR = "dogs are good dogs are good and dogs are good and dogs are dogs"


def _attempt(number: int = 1) -> Attempt:
    return Attempt(attempt_id=uuid4(), number=number, target=TARGET, started_at=NOW)


async def _ask(
    request: ComparisonRequest, *, number: int = 1, **behaviour: float | Path
) -> Completion:
    behaviour = {"error_rate": 0.0, **behaviour}
    mock = MockProvider(
        MockBehaviour(**behaviour),  # type: ignore[arg-type] # by name
        default_model="m",
        timeout_s=30,
        models=FlatPrices(),
    )
    return await mock.judge(request, _attempt(number), 30)


def _dice(number: int) -> Dice:
    return Dice.throw(1, str(number))


def _wins_of_a(essay_a: str, essay_b: str, position_bias: float = 0) -> float:
    draws: list[Verdict] = [judge(essay_a, essay_b, _dice(n), position_bias) for n in range(200)]
    return sum(verdict.winner is Winner.A for verdict in draws) / len(draws)


async def test_same_seed_request_and_attempt_give_the_same_answer() -> None:
    one, again = request_of(), request_of()
    assert await _ask(one) == await _ask(again)


async def test_seed_replicate_and_attempt_each_make_another_draw() -> None:
    def drawn(completion: Completion) -> float:
        return completion.verdict.confidence

    close = {"essay_a": _GOOD, "essay_b": _GOOD}
    draws = [
        drawn(await _ask(request_of(**close))),
        drawn(await _ask(request_of(**close), seed=7)),
        drawn(await _ask(request_of(**close, replicate=1))),
        drawn(await _ask(request_of(**close), number=2)),
    ]
    assert len(set(draws)) == 4


async def test_tokens_are_plausible_and_cost_nothing_that_is_known() -> None:
    request = request_of()
    billing = (await _ask(request)).billing
    assert billing.cost_usd == Decimal(0)
    assert billing.usage.prompt_tokens == len(request.prompt.text) // 4
    assert (billing.usage.completion_tokens or 0) > 5


async def test_model_is_the_one_that_was_asked_for() -> None:
    assert (await _ask(request_of())).model == TARGET.model


async def test_error_rate_is_the_share_of_calls_that_fail_unbilled() -> None:
    failures = []
    for number in range(400):
        try:
            await _ask(request_of(), number=number, error_rate=0.2)
        except (ProviderDownError, RateLimitedError) as error:
            failures.append(error)
    assert 0.1 < len(failures) / 400 < 0.3
    assert {type(error) for error in failures} == {ProviderDownError, RateLimitedError}
    assert all(error.billing is None for error in failures)


async def test_malformed_answer_is_billed() -> None:
    with pytest.raises(MalformedAnswerError) as caught:
        await _ask(request_of(), malformed_rate=1)
    assert caught.value.billing is not None


async def test_latency_is_slept_and_not_computed() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await _ask(request_of(), latency_ms=60_000)


async def test_journal_has_a_line_for_every_call_also_for_those_that_fail(tmp_path: Path) -> None:
    journal, request = tmp_path / "calls.jsonl", request_of(essay_a="Zwiebelkuchen")
    await _ask(request, journal=journal)
    with pytest.raises(MalformedAnswerError):
        await _ask(request, journal=journal, malformed_rate=1)
    lines = [orjson.loads(line) for line in journal.read_bytes().splitlines()]
    assert [line["request_id"] for line in lines] == [str(request.request_id)] * 2
    assert len({line["attempt_id"] for line in lines}) == 2
    assert b"Zwiebelkuchen" not in journal.read_bytes()


def test_better_essay_wins_nearly_always_in_either_place() -> None:
    assert _wins_of_a(_GOOD, _POOR) > 0.95
    assert _wins_of_a(_POOR, _GOOD) < 0.05


def test_equal_essays_win_about_as_often() -> None:
    assert 0.35 < _wins_of_a(_GOOD, _GOOD) < 0.65


@pytest.mark.parametrize(("bias", "share"), [(1, 1.0), (-1, 0.0)])
def test_position_bias_at_its_ends_decides_alone(bias: float, share: float) -> None:
    assert _wins_of_a(_POOR, _GOOD, bias) == share
    assert _wins_of_a(_GOOD, _POOR, bias) == share


def test_position_bias_favours_the_first_essay() -> None:
    assert _wins_of_a(_GOOD, _GOOD, 0.5) > _wins_of_a(_GOOD, _GOOD) + 0.1


def test_sample_essays_are_ranked_about_as_their_authors_meant() -> None:
    essays = load_essays()
    pairs = list(itertools.combinations(essays, 2))
    agree = sum(
        (latent_quality(a.text) > latent_quality(b.text)) == (a.quality > b.quality)
        for a, b in pairs
    )
    assert agree / len(pairs) > 0.75


@pytest.mark.parametrize("essay", ["", " \n", "x", "\u00e9" * 10_000, "1 2 3"])
def test_quality_stays_within_its_bounds(essay: str) -> None:
    assert 0 <= latent_quality(essay) <= 1


@pytest.mark.parametrize(
    ("prompt", "essays"),
    [
        ("Which?\n\nEssay A:\nfirst\n\nEssay B:\nsecond", ("first", "second")),
        (
            with_essays("Essay A or B?", "first\n## Essay B", "second"),
            ("first\n## Essay B", "second"),
        ),
        ("Which?\n## Essay A\nfirst\n## ESSAY B\nsecond", ("first", "second")),
        ("abcd", ("ab", "cd")),
        ("", ("", "")),
    ],
)
def test_essays_are_found_in_a_prompt_that_holds_both(prompt: str, essays: tuple[str, str]) -> None:
    first, second = split_essays(prompt)
    assert (first.strip(), second.strip()) == essays
