"""`llm-worker compare`: one comparison, through Kafka and back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from llm_worker.adapters.clock import SystemClock
from llm_worker.cli.app import FAILED, out
from llm_worker.cli.connection import connect
from llm_worker.cli.wording import cost_of
from llm_worker.contracts.request import LLMComparisonRequestV1, LLMConfigOverrides
from llm_worker.contracts.vocabulary import ProviderName, Winner

if TYPE_CHECKING:
    from llm_worker.contracts.result import LLMComparisonResultV1

_PROMPT = "Which of these two essays is the better one? Judge content, structure and language."
# A worker that knows the deadline answers with TIMEOUT; that answer has to travel too.
_GRACE_S = 5.0
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("essay_a", type=_FILE, metavar="A.txt")
@click.argument("essay_b", type=_FILE, metavar="B.txt")
@click.option("--prompt", default=_PROMPT, show_default=True, help="What to judge by.")
@click.option("--provider", type=click.Choice([p.value for p in ProviderName]), help="Who judges.")
@click.option("--model", help="Which of the provider's models.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as it came.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=120,
    show_default=True,
    help="Seconds to wait; nothing is spent afterwards.",
)
def compare(  # noqa: PLR0913 - one argument per option
    *,
    essay_a: Path,
    essay_b: Path,
    prompt: str,
    provider: str | None,
    model: str | None,
    as_json: bool,
    timeout_s: float,
) -> None:
    """Compare two essays: which is better, why, and how sure.

    The request goes through Kafka to a worker like any other. Exits with 1 if there is no verdict.
    """
    if not prompt.strip():
        raise click.UsageError("--prompt is blank: say what to judge by, or leave it out")
    request = LLMComparisonRequestV1(
        user_prompt=prompt,
        essay_a=_read(essay_a),
        essay_b=_read(essay_b),
        llm_config_overrides=LLMConfigOverrides(
            provider_override=ProviderName(provider) if provider else None,
            model_override=model or None,
        ),
        not_after=SystemClock().now() + timedelta(seconds=timeout_s),
    )
    result = asyncio.run(_ask(request, timeout_s + _GRACE_S))
    if as_json:
        click.echo(result.model_dump_json())
    else:
        _show(result, {Winner.A: essay_a, Winner.B: essay_b})
    if result.error_detail is not None:
        raise SystemExit(FAILED)


def _read(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path} is not UTF-8: save it as UTF-8") from error
    if not text.strip():
        raise click.UsageError(f"{path} is empty: put an essay into it")
    return text


async def _ask(request: LLMComparisonRequestV1, timeout_s: float) -> LLMComparisonResultV1:
    client, _ = connect()
    async with client:
        return await client.compare(request, timeout_s=timeout_s)


def _show(result: LLMComparisonResultV1, files: dict[Winner, Path]) -> None:
    if result.winner is not None:
        out.print(f"[bold]{escape(str(files[result.winner]))}[/] is better ({result.winner})")
        out.print(escape(result.justification or ""))
        out.print(f"confidence      {result.confidence:.1f} of 5")
    elif result.error_detail is not None:
        detail = result.error_detail
        # On one line, so that a name in it can be copied whole.
        words = f"{detail.error_code}: {escape(detail.message)}"
        out.print(f"[bold red]no verdict[/]: {words}", soft_wrap=True)
    cached = ", cached" if result.cached else ""
    out.print(f"judged by       {result.provider}, {escape(result.model)}{cached}")
    out.print(f"cost            {cost_of(result)}, {result.token_usage.total_tokens} tokens")
    out.print(f"time            {result.response_time_ms} ms, attempts: {result.attempts}")
    for words in result.request_metadata.get("adjustments", ()):
        out.print(f"adjusted        {escape(words)}", soft_wrap=True)
    out.print(f"correlation id  {result.correlation_id}")
