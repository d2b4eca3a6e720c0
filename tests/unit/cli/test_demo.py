"""What `llm-worker demo` does around its stack: refusing, pricing, reporting."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from click.testing import CliRunner

from llm_worker.cli.app import FAILED, WRONG_USE, cli
from llm_worker.cli.demo.judge import DemoJudge
from llm_worker.cli.demo.report import interval_bar, show_costs, show_ranking
from llm_worker.cli.wording import Tally
from llm_worker.contracts.result import LLMComparisonResultV1, TokenUsage
from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.dev.samples import Essay, load_essays
from tests.support.environment import forget_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.testing import Result

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MOCK = DemoJudge(provider=ProviderName.MOCK, model="m", environment={}, estimate_usd=None)
REAL = DemoJudge(
    provider=ProviderName.OPENAI, model="gpt", environment={}, estimate_usd=Decimal("0.12345")
)
OWN = [Essay(name=name, text="…") for name in ("[red]a\x1b", "b", "c")]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)


def run(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, ["demo", *words], input=stdin)


def complaint(*words: str) -> str:
    shown = run(*words)
    assert shown.exit_code == WRONG_USE, shown.output
    assert shown.stdout == ""
    return shown.stderr


def verdicts_on(essays: Sequence[Essay]) -> list[LLMComparisonResultV1]:
    """The one that comes first in `essays` wins each."""
    return [
        LLMComparisonResultV1(
            request_id=str(uuid4()),
            correlation_id=uuid4(),
            winner=Winner.A,
            justification="because",
            confidence=3,
            provider=ProviderName.MOCK,
            model="m",
            response_time_ms=1,
            token_usage=TokenUsage(prompt_tokens=10, completion_tokens=2, total_tokens=12),
            cost_estimate=0.25,
            cost_known=True,
            cached=False,
            attempts=1,
            requested_at=NOW,
            completed_at=NOW,
            request_metadata={Winner.A: better.name, Winner.B: worse.name},
        )
        for better, worse in combinations(essays, 2)
    ]


def test_blank_prompt_is_refused() -> None:
    assert "--prompt is blank" in complaint("--prompt", " ")


def test_folder_at_fault_is_refused_before_anything_starts() -> None:
    Path("mine").mkdir()
    Path("mine/a.txt").write_text("An essay.", "utf-8")

    assert "mine has 1 files" in complaint("--essays", "mine")


def test_provider_without_a_key_is_refused_with_the_remedy() -> None:
    assert (
        "provider openai cannot be called: set LLM_WORKER_PROVIDERS__OPENAI__API_KEY, in "
        "the environment or in .env" in complaint("--provider", "openai")
    )


@pytest.mark.parametrize(
    ("model", "price"),
    [("gpt-6-luna", "will cost about USD 0.0"), ("new-one", "will cost an unknown sum")],
)
def test_price_is_told_and_nothing_starts_without_a_yes(
    monkeypatch: pytest.MonkeyPatch, model: str, price: str
) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__DEFAULT_MODEL", model)
    Path(".env").write_text("OPENAI_API_KEY=sk-secret\n", "utf-8")

    shown = run("--provider", "openai", stdin="n\n")

    assert shown.exit_code == FAILED
    assert f"66 comparisons by openai, {model}, {price}" in shown.stderr
    assert "All essays are sent to it" in shown.stderr
    assert "starting" not in shown.stderr
    assert "sk-secret" not in shown.output


def test_report_on_own_essays_says_what_the_mock_is_worth(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_ranking(OWN, verdicts_on(OWN), MOCK)

    shown = capsys.readouterr().out
    assert "The mock judged" in shown
    assert "not which of your essays is better" in shown
    assert "meant to be" not in shown


def test_report_on_samples_says_what_they_were_meant_to_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    essays = load_essays()

    show_ranking(essays, verdicts_on(essays), MOCK)

    shown = capsys.readouterr().out
    assert "meant to be" in shown
    assert "The mock judged" not in shown


def test_report_shows_order_uncertainty_and_the_closest_pairs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_ranking(OWN, verdicts_on(OWN), REAL)

    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines() if "●" in line]
    assert [(row[0], row[1], row[2], row[3]) for row in rows] == [
        ("1", "[red]a?", "+1.35", "2.22"),
        ("2", "b", "+0.00", "1.92"),
        ("3", "c", "-1.35", "2.22"),
    ]
    assert "Close pairs: 3 of 3" in shown
    assert "  b over c: 79% to win once more" in shown
    assert "The mock judged" not in shown


def test_costs_of_a_provider_stand_beside_their_estimate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, tally = verdicts_on(OWN), Tally()
    for result in results:
        tally.add(result)

    show_costs(results, tally, REAL, elapsed_s=7)

    shown = capsys.readouterr().out
    assert "3 verdicts, none failed; 36 tokens, USD 0.75, estimated at USD 0.1234; 7 s" in shown
    assert "would have cost" not in shown


@pytest.mark.parametrize(
    ("middle", "half", "reach", "bar"),
    [
        (0.0, 1.0, 2.0, "  ──●──  "),
        (1.0, 1.0, 2.0, "    ┼─●──"),
        (-1.5, 0.5, 2.0, "─●─ │    "),
        (0.0, 0.0, 0.0, "    ●    "),
    ],
)
def test_bar_draws_the_interval_on_a_scale_around_zero(
    middle: float, half: float, reach: float, bar: str
) -> None:
    assert interval_bar(middle, half, reach, cells=9) == bar
