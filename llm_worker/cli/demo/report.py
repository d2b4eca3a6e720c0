"""What came out of the demo, for people."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.markup import escape
from rich.table import Table

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.providers import anthropic, google, openai
from llm_worker.adapters.providers.prices import PriceBook
from llm_worker.cli.app import out
from llm_worker.cli.wording import plain_usd, shown
from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.dev.ranking import Z_95, rank
from llm_worker.dev.samples import SampleEssay
from llm_worker.domain.verdict import Billing, Usage, total_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.cli.demo.judge import DemoJudge
    from llm_worker.cli.wording import Tally
    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.dev.ranking import Ranked, Ranking
    from llm_worker.dev.samples import Essay

_JUSTIFICATIONS: Final = 3
_CLOSEST: Final = 5
_BAR_CELLS: Final = 23
_REAL_MODELS: Final = (
    (ProviderName.ANTHROPIC, anthropic.DEFAULT_MODEL),
    (ProviderName.OPENAI, openai.DEFAULT_MODEL),
    (ProviderName.GOOGLE, google.DEFAULT_MODEL),
)
_ABOUT_THE_MOCK: Final = (
    "[bold yellow]The mock judged:[/] it looks at how long and how varied the words are, and means "
    "nothing by it.\nThis shows what comes out, not which of your essays is better. "
    "`--provider NAME` asks a model; it says the price first."
)


def show_ranking(
    essays: Sequence[Essay], results: Sequence[LLMComparisonResultV1], judge: DemoJudge
) -> None:
    """Show the ranking, how sure it is, and some of the reasons."""
    verdicts = [result for result in results if result.winner is not None]
    ranking = rank([essay.name for essay in essays], list(map(_winner_and_loser, verdicts)))
    samples = [essay for essay in essays if isinstance(essay, SampleEssay)]
    out.print()
    out.print(_table(ranking, samples, title=f"Ranking by {judge.model}"))
    if judge.is_mock and not samples:
        out.print(_ABOUT_THE_MOCK, soft_wrap=True)
    _show_close_pairs(ranking)
    _show_justifications(verdicts)


def show_costs(
    results: Sequence[LLMComparisonResultV1], tally: Tally, judge: DemoJudge, *, elapsed_s: float
) -> None:
    """Show what it cost, or would have."""
    if judge.is_mock:
        spent = f"{tally.cost()}: the mock is free"
    elif judge.estimate_usd is None:
        spent = tally.cost()
    else:
        spent = f"{tally.cost()}, estimated at USD {plain_usd(round(judge.estimate_usd, 4))}"
    out.print(
        f"\n{tally.done} verdicts, {_failures(tally, judge)}; {tally.tokens:,} tokens, {spent}; "
        f"{elapsed_s:.0f} s with everything.",
        soft_wrap=True,
    )
    if judge.is_mock:
        out.print(f"The same tokens would have cost {_real_costs(results)}.", soft_wrap=True)


def show_next_steps() -> None:
    """Say where to look next."""
    command = escape(_this_command())
    steps = Table.grid(padding=(0, 2))
    steps.add_column(no_wrap=True)
    steps.add_row(f"{command} demo --essays DIR", "your own essays")
    steps.add_row(f"{command} dev", "the same, to stay; beside it:")
    steps.add_row(f"{command} compare A.txt B.txt", "your own two essays")
    steps.add_row(f"{command} --help", "everything else")
    steps.add_row("examples/", "programs that use it")
    steps.add_row("README.md, docs/", "how it works, what it promises")
    out.print("\n[bold]Where to look next[/]")
    out.print(steps)


def _table(ranking: Ranking, samples: Sequence[SampleEssay], *, title: str) -> Table:
    meant = sorted(samples, key=lambda essay: -essay.quality)
    meant_places = {essay.name: str(place) for place, essay in enumerate(meant, start=1)}
    table = Table(
        title=title,
        caption="score: log-odds, ± its 95 % interval",
        box=None,
        pad_edge=False,
    )
    table.add_column("place", justify="right")
    table.add_column("essay", overflow="fold")
    for column in ("score", "±"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for column in ("won", "lost", *(["meant to be"] if meant_places else [])):
        table.add_column(column, justify="right")
    reach = max((abs(one.score) + _half_interval(one) for one in ranking.places), default=0)
    for place, one in enumerate(ranking.places, start=1):
        table.add_row(
            str(place),
            shown(one.name),
            f"{one.score:+.2f}",
            f"{_half_interval(one):.2f}",
            interval_bar(one.score, _half_interval(one), reach),
            str(one.wins),
            str(one.losses),
            *([meant_places[one.name]] if meant_places else []),
        )
    return table


def interval_bar(middle: float, half: float, reach: float, cells: int = _BAR_CELLS) -> str:
    """Draw an interval on a scale from `-reach` to `reach`; zero is in the middle cell."""

    def cell(value: float) -> int:
        return round((value / reach + 1) / 2 * (cells - 1)) if reach else cells // 2

    start, end = cell(middle - half), cell(middle + half)
    bar = [*" " * start, *"─" * (end - start + 1), *" " * (cells - 1 - end)]
    bar[cells // 2] = "┼" if start <= cells // 2 <= end else "│"
    bar[cell(middle)] = "●"
    return "".join(bar)


def _half_interval(one: Ranked) -> float:
    return Z_95 * one.standard_error


def _show_close_pairs(ranking: Ranking) -> None:
    close = [pair for pair in ranking.pairs if pair.is_close]
    out.print(
        f"\n[bold]Close pairs[/]: {len(close)} of {len(ranking.pairs)}, by 95 % intervals, could "
        "as well be the other way round",
        soft_wrap=True,
    )
    for pair in close[:_CLOSEST]:
        out.print(
            f"  {shown(pair.better)} over {shown(pair.worse)}: "
            f"{pair.win_probability:.0%} to win once more",
            soft_wrap=True,
        )


def _show_justifications(verdicts: Sequence[LLMComparisonResultV1]) -> None:
    by_confidence = sorted(verdicts, key=lambda result: result.confidence or 0)
    step = max(1, (len(by_confidence) - 1) // (_JUSTIFICATIONS - 1))
    out.print("\n[bold]Some of the justifications[/]")
    for result in by_confidence[::-step][:_JUSTIFICATIONS]:
        names = result.request_metadata
        out.print(
            f"  A {shown(names[Winner.A])}, B {shown(names[Winner.B])}, "
            f"confidence {result.confidence:.1f} of 5: {shown(result.justification or '')}",
            soft_wrap=True,
        )


def _winner_and_loser(result: LLMComparisonResultV1) -> tuple[str, str]:
    names = result.request_metadata
    loser = Winner.B if result.winner is Winner.A else Winner.A
    return names[result.winner or loser], names[loser]


def _failures(tally: Tally, judge: DemoJudge) -> str:
    if not tally.failed:
        return "none failed"
    why = " on purpose, as 5 % of the mock's calls do" if judge.is_mock else ""
    return f"{tally.failed} failed{why} ({tally.failures()})"


def _real_costs(results: Sequence[LLMComparisonResultV1]) -> str:
    clock, costs = SystemClock(), []
    for provider, model in _REAL_MODELS:
        prices = PriceBook(provider, clock=clock)
        cost_usd = total_cost(
            Billing(cost_usd=prices.cost_usd(model, _usage_of(result))) for result in results
        )
        costs.append(
            f"{'an unknown sum' if cost_usd is None else f'USD {cost_usd:.4f}'} with {model}"
        )
    return ", ".join(costs)


def _usage_of(result: LLMComparisonResultV1) -> Usage:
    used = result.token_usage
    return Usage(prompt_tokens=used.prompt_tokens, completion_tokens=used.completion_tokens)


def _this_command() -> str:
    """Give the command as it can be typed from here."""
    script = Path(sys.executable).with_name("llm-worker")
    try:
        return str(script.relative_to(Path.cwd()))
    except ValueError:
        return "llm-worker"
