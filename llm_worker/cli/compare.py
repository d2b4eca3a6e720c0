"""`llm-worker compare`: one comparison, through Kafka and back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson
from rich.markup import escape

from llm_worker.adapters.clock import SystemClock
from llm_worker.cli.app import FAILED, out
from llm_worker.cli.connection import connect
from llm_worker.cli.wording import cost_of, shown
from llm_worker.client.judge import DEFAULT_PROMPT, GRACE_S, due_within, new_request, swapped
from llm_worker.client.judgement import BothOrders, Judgement
from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.domain.printable import printable_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.contracts.result import LLMComparisonResultV1

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("essay_a", type=_FILE, metavar="A.txt")
@click.argument("essay_b", type=_FILE, metavar="B.txt")
@click.option("--prompt", default=DEFAULT_PROMPT, show_default=True, help="What to judge by.")
@click.option("--provider", type=click.Choice([p.value for p in ProviderName]), help="Who judges.")
@click.option("--model", help="Which of the provider's models.")
@click.option(
    "--both-orders", is_flag=True, help="Ask with the essays swapped too: do the verdicts agree?"
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as it came.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(1, 86_400),
    default=120,
    show_default=True,
    help="Seconds to wait, at most a day; nothing is spent afterwards.",
)
def compare(  # noqa: PLR0913 - one argument per option
    *,
    essay_a: Path,
    essay_b: Path,
    prompt: str,
    provider: str | None,
    model: str | None,
    both_orders: bool,
    as_json: bool,
    timeout_s: float,
) -> None:
    """Compare two essays: which is better, why, and how sure.

    The request goes through Kafka to a worker like any other. With --both-orders there are two,
    and where their verdicts disagree it is a tie. Exits with 1 if there is no verdict.
    """
    if not prompt.strip():
        raise click.UsageError("--prompt is blank: say what to judge by, or leave it out")
    request = new_request(
        _read(essay_a),
        _read(essay_b),
        prompt=prompt,
        provider=provider,
        model=model or None,
    )
    request = due_within(request, timeout_s, SystemClock().now())
    requests = [request, swapped(request)] if both_orders else [request]
    results = asyncio.run(_ask(requests, timeout_s + GRACE_S))
    files = {Winner.A: essay_a, Winner.B: essay_b}
    if both_orders:
        _tell_both(results, files, as_json=as_json)
    elif as_json:
        click.echo(results[0].model_dump_json())
    else:
        _show(results[0], files)
    if any(result.error_detail is not None for result in results):
        raise SystemExit(FAILED)


def _read(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path} is not UTF-8: save it as UTF-8") from error
    if not text.strip():
        raise click.UsageError(f"{path} is empty: put an essay into it")
    return text


async def _ask(
    requests: Sequence[LLMComparisonRequestV1], timeout_s: float
) -> list[LLMComparisonResultV1]:
    client, _ = connect()
    async with client:
        return await asyncio.gather(
            *(client.ask(request, timeout_s=timeout_s) for request in requests)
        )


def _show(result: LLMComparisonResultV1, files: dict[Winner, Path]) -> None:
    if result.winner is not None:
        out.print(f"[bold]{escape(str(files[result.winner]))}[/] is better ({result.winner})")
        out.print(escape(printable_lines(result.justification or "")))
        out.print(f"confidence      {result.confidence:.1f} of 5")
    elif result.error_detail is not None:
        detail = result.error_detail
        # On one line, so that a name in it can be copied whole.
        words = f"{detail.error_code}: {shown(detail.message)}"
        out.print(f"[bold red]no verdict[/]: {words}", soft_wrap=True)
    cached = ", cached" if result.cached else ""
    out.print(f"judged by       {result.provider}, {shown(result.model)}{cached}")
    out.print(f"cost            {cost_of(result)}, {result.token_usage.total_tokens} tokens")
    out.print(f"time            {result.response_time_ms} ms, attempts: {result.attempts}")
    for words in result.request_metadata.get("adjustments", ()):
        out.print(f"adjusted        {shown(words)}", soft_wrap=True)
    out.print(f"correlation id  {result.correlation_id}")


def _tell_both(
    results: Sequence[LLMComparisonResultV1], files: dict[Winner, Path], *, as_json: bool
) -> None:
    both = None
    if all(result.error_detail is None for result in results):
        ab, ba = map(Judgement.of, results)
        both = BothOrders(ab=ab, ba=ba)
    if as_json:
        winner = both and both.winner
        document = {
            "winner": winner,
            "is_tie": None if both is None else both.is_tie,
            "results": [result.model_dump(mode="json") for result in results],
        }
        click.echo(orjson.dumps(document))
        return
    for result, order in zip(results, (files, _swapped(files)), strict=True):
        out.print(f"[dim]Essay A is {escape(str(order[Winner.A]))}[/]")
        _show(result, order)
        out.print()
    if both is not None:
        words = "a tie: the two orders disagree"
        if both.winner is not None:
            words = f"{escape(str(files[both.winner]))} is better in both orders"
        out.print(f"[bold]{words}[/]")


def _swapped(files: dict[Winner, Path]) -> dict[Winner, Path]:
    return {Winner.A: files[Winner.B], Winner.B: files[Winner.A]}
