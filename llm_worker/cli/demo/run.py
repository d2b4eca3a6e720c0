"""What `llm-worker demo` does."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import webbrowser
from contextlib import aclosing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING

import click

from llm_worker.cli.app import err
from llm_worker.cli.connection import prepare_for_kafka
from llm_worker.cli.demo.judge import choose_judge
from llm_worker.cli.demo.report import show_costs, show_next_steps, show_ranking
from llm_worker.cli.progress import ComparisonProgress
from llm_worker.cli.wording import Tally, plain_usd
from llm_worker.client.comparison import ComparisonClient
from llm_worker.client.judge import DEFAULT_PROMPT, new_request
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.dev.pairing import EVERY_PAIR_UP_TO, TIMES, choose_pairs
from llm_worker.dev.samples import EssayFolderError, load_essays, load_prompt, read_folder
from llm_worker.dev.stack import LocalStack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.cli.demo.judge import DemoJudge
    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.dev.samples import Essay


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What was asked for; without a folder the samples, without a prompt a fitting one."""

    folder: Path | None
    prompt: str | None
    provider: ProviderName
    opens_page: bool | None
    keeps: bool


def run_demo(demo: Demo) -> None:
    """Start everything, compare pairs, show what came out, stop everything."""
    prepare_for_kafka()
    import_module("choix")  # where the extra is missing, that is told before anything is compared
    started_s = time.monotonic()
    essays = _essays(demo.folder)
    requests = _requests(essays, demo)
    with TemporaryDirectory(prefix="llm-worker-demo-", ignore_cleanup_errors=True) as directory:
        judge = choose_judge(demo.provider, requests)
        if not judge.is_mock:
            _confirm(judge, len(requests))
        stack = LocalStack(
            Path(directory),
            catalog=load_topics(),
            environment=judge.environment,
            # A key comes this way, or by .env.
            inherit_environment=not judge.is_mock,
            report=err.print,
        )
        with stack:
            _show_page(f"{stack.web_url}/", opens=demo.opens_page)
            _say_which_pairs(essays, requests)
            tally = Tally()
            results = asyncio.run(_compare(stack, requests, tally))
            show_ranking(essays, results, judge)
            show_costs(results, tally, judge, elapsed_s=time.monotonic() - started_s)
            show_next_steps()
            if demo.keeps:
                err.print("\nthe page stays until Ctrl-C")
                Event().wait()
            err.print("stopping the worker and Kafka")


def _essays(folder: Path | None) -> tuple[Essay, ...]:
    if folder is None:
        return load_essays()
    try:
        return read_folder(folder)
    except EssayFolderError as error:
        raise click.UsageError(str(error)) from error


def _requests(essays: Sequence[Essay], demo: Demo) -> list[LLMComparisonRequestV1]:
    prompt = demo.prompt
    if prompt is None and demo.folder is None:
        prompt = f"Which essay is the better answer to this assignment?\n\n{load_prompt()}"
    return [
        new_request(
            first.text,
            second.text,
            prompt=prompt or DEFAULT_PROMPT,
            provider=demo.provider,
            metadata={Winner.A: first.name, Winner.B: second.name},
        )
        for first, second in choose_pairs(essays)
    ]


def _confirm(judge: DemoJudge, count: int) -> None:
    usd = judge.estimate_usd
    price = "an unknown sum" if usd is None else f"about USD {plain_usd(round(usd, 4))}"
    click.confirm(
        f"{count} comparisons by {judge.provider}, {judge.model}, will cost {price}. All essays "
        "are sent to it. Go on?",
        abort=True,
        err=True,
    )


def _show_page(url: str, *, opens: bool | None) -> None:
    err.print(f"the worker's page: [bold]{url}[/]", soft_wrap=True)
    if opens is None:
        opens = _has_screen()
    if opens and not webbrowser.open(url):
        err.print("no browser can be opened here: open the page yourself")


def _has_screen() -> bool:
    """Whether somebody looks; on a terminal alone a browser would take it over."""
    names = os.environ.keys()  # noqa: TID251 - the desktop's names, no settings of ours
    return sys.stderr.isatty() and not names.isdisjoint({"DISPLAY", "WAYLAND_DISPLAY"})


def _say_which_pairs(essays: Sequence[Essay], requests: Sequence[LLMComparisonRequestV1]) -> None:
    why = ""
    if len(essays) > EVERY_PAIR_UP_TO:
        every = len(essays) * (len(essays) - 1) // 2
        why = f" of {every:,}: each essay with {TIMES} others"
    err.print(f"comparing {len(requests)} pairs{why}")


async def _compare(
    stack: LocalStack, requests: Sequence[LLMComparisonRequestV1], tally: Tally
) -> list[LLMComparisonResultV1]:
    client = ComparisonClient(stack.kafka_options, load_topics(), source_service="llm-worker-demo")
    results = []
    with ComparisonProgress(tally, total=len(requests)) as progress:
        async with client, aclosing(client.submit_many(requests)) as arriving:
            async for result in arriving:
                results.append(result)
                tally.add(result)
                progress.update()
    return results
