"""What `llm-worker demo` does."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.providers import anthropic, google, openai
from llm_worker.adapters.providers.prices import PriceBook
from llm_worker.cli.app import err, out
from llm_worker.cli.connection import silence_kafka_logs
from llm_worker.cli.progress import ComparisonProgress
from llm_worker.cli.wording import Tally
from llm_worker.client.comparison import ComparisonClient
from llm_worker.client.submission import Submission
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.dev.ranking import rank
from llm_worker.dev.samples import load_essays, load_prompt
from llm_worker.dev.stack import LocalStack
from llm_worker.domain.verdict import Billing, Usage, total_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.dev.samples import Essay

_WORKER = {
    "LLM_WORKER_USE_MOCK_LLM": "true",
    "LLM_WORKER_PROVIDERS__MOCK__LATENCY_MS": "200",
    "LLM_WORKER_MAX_IN_FLIGHT": "8",
    "LLM_WORKER_CACHE__REDIS_URL": "",
}
_JUSTIFICATIONS = 3
_REAL_MODELS = (
    (ProviderName.ANTHROPIC, anthropic.DEFAULT_MODEL),
    (ProviderName.OPENAI, openai.DEFAULT_MODEL),
    (ProviderName.GOOGLE, google.DEFAULT_MODEL),
)


def run_demo() -> None:
    """Start everything, compare every pair, show what came out, stop everything."""
    silence_kafka_logs()
    essays, tally = load_essays(), Tally()
    started_s = time.monotonic()
    with TemporaryDirectory(prefix="llm-worker-demo-", ignore_cleanup_errors=True) as directory:
        stack = LocalStack(
            Path(directory),
            catalog=load_topics(),
            environment=_WORKER,
            inherit_environment=False,
            report=err.print,
        )
        with stack:
            results = asyncio.run(_compare(stack, _requests(essays), tally))
            err.print("stopping the worker and Kafka")
    _show(essays, results)
    out.print(
        f"\n{tally.done} verdicts, {_failures(tally)}; {tally.tokens:,} tokens, {tally.cost()}: "
        f"the mock is free; {time.monotonic() - started_s:.0f} s with everything.",
        soft_wrap=True,
    )
    out.print(f"The same tokens would have cost {_real_costs(results)}.", soft_wrap=True)
    out.print("\n[bold]Where to look next[/]")
    out.print(_next_steps())


def _requests(essays: Sequence[Essay]) -> list[LLMComparisonRequestV1]:
    """Ask for every pair once, each essay first about as often as second."""
    prompt = f"Which essay is the better answer to this assignment?\n\n{load_prompt()}"
    pairs = [
        (first, second) if number % 2 else (second, first)
        for number, (first, second) in enumerate(combinations(essays, 2))
    ]
    return [
        LLMComparisonRequestV1(
            user_prompt=prompt,
            essay_a=first.text,
            essay_b=second.text,
            metadata={Winner.A: first.name, Winner.B: second.name},
        )
        for first, second in pairs
    ]


async def _compare(
    stack: LocalStack, requests: Sequence[LLMComparisonRequestV1], tally: Tally
) -> list[LLMComparisonResultV1]:
    client = ComparisonClient(stack.kafka_options, load_topics(), source_service="llm-worker-demo")
    err.print(f"comparing {len(requests)} pairs")
    submissions = [Submission(request=request) for request in requests]
    results = []
    with ComparisonProgress(tally, total=len(requests)) as progress:
        async with client, aclosing(client.submit_many(submissions)) as arriving:
            async for result in arriving:
                results.append(result)
                tally.add(result)
                progress.update()
    return results


def _show(essays: Sequence[Essay], results: Sequence[LLMComparisonResultV1]) -> None:
    verdicts = [result for result in results if result.winner is not None]
    out.print(_ranking_table(essays, verdicts))
    out.print("\n[bold]Three of the justifications[/]")
    by_confidence = sorted(verdicts, key=lambda result: result.confidence or 0)
    step = max(1, (len(by_confidence) - 1) // (_JUSTIFICATIONS - 1))
    for result in by_confidence[::-step][:_JUSTIFICATIONS]:
        names = result.request_metadata
        out.print(
            f"  A {names[Winner.A]}, B {names[Winner.B]}, "
            f"confidence {result.confidence:.1f} of 5: {escape(result.justification or '')}",
            soft_wrap=True,
        )


def _ranking_table(essays: Sequence[Essay], verdicts: Sequence[LLMComparisonResultV1]) -> Table:
    pairs = [_winner_and_loser(result) for result in verdicts]
    meant = sorted(essays, key=lambda essay: -essay.quality)
    meant_places = {essay.name: place for place, essay in enumerate(meant, start=1)}
    table = Table("place", "essay", "score", "won", "lost", "meant to be", title="Ranking")
    for place, one in enumerate(rank([essay.name for essay in essays], pairs), start=1):
        table.add_row(
            str(place),
            one.name,
            f"{one.score:+.2f}",
            str(one.wins),
            str(one.losses),
            str(meant_places[one.name]),
        )
    return table


def _winner_and_loser(result: LLMComparisonResultV1) -> tuple[str, str]:
    names = result.request_metadata
    loser = Winner.B if result.winner is Winner.A else Winner.A
    return names[result.winner or loser], names[loser]


def _failures(tally: Tally) -> str:
    if not tally.failed:
        return "none failed"
    return f"{tally.failed} failed on purpose, as 5 % of the mock's calls do ({tally.failures()})"


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


def _next_steps() -> Table:
    command = escape(_this_command())
    steps = Table.grid(padding=(0, 2))
    steps.add_row(f"{command} dev", "the same installation, to stay; beside it:")
    steps.add_row(f"{command} compare A.txt B.txt", "your own two essays")
    steps.add_row(f"{command} --help", "everything else")
    steps.add_row("README.md, docs/", "how it works, and what it promises")
    return steps


def _this_command() -> str:
    """Give the command as it can be typed from here."""
    script = Path(sys.executable).with_name("llm-worker")
    try:
        return str(script.relative_to(Path.cwd()))
    except ValueError:
        return "llm-worker"
