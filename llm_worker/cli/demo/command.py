"""`llm-worker demo`: the product's job on real input, in a minute, with nothing installed."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from llm_worker.cli.app import err
from llm_worker.contracts.vocabulary import ProviderName

_REAL = [name.value for name in ProviderName if name is not ProviderName.MOCK]


@click.command()
@click.option(
    "--essays",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Rank your own texts: every *.txt and *.md file of this folder, UTF-8.",
)
@click.option("--prompt", help="What to judge by.")
@click.option(
    "--provider",
    type=click.Choice(_REAL),
    help="Who judges instead of the mock, with the key in your environment. Costs money; says how "
    "much, and asks, first.",
)
@click.option(
    "--open/--no-open",
    "opens_page",
    default=None,
    help="Open the worker's page in a browser.  [default: in a terminal with a display]",
)
@click.option("--keep", "keeps", is_flag=True, help="Keep the page until Ctrl-C.")
def demo(
    *,
    folder: Path | None,
    prompt: str | None,
    provider: str | None,
    opens_page: bool | None,
    keeps: bool,
) -> None:
    """Rank essays by comparing them in pairs, through an embedded Kafka and a worker.

    The essays are twelve samples, or your own. The mock provider judges: nothing is spent, and
    nothing is left behind. Of more than 20 essays, each is compared with ten others.
    """
    if prompt is not None and not prompt.strip():
        raise click.UsageError("--prompt is blank: say what to judge by, or leave it out")
    # Also SIGINT: whoever is started in the background of a script is born ignoring it.
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    try:
        # Not before, so that Ctrl-C ends well while this is imported, too.
        from llm_worker.cli.demo.run import Demo, run_demo  # noqa: PLC0415

        run_demo(
            Demo(
                folder=folder,
                prompt=prompt,
                provider=ProviderName(provider or ProviderName.MOCK),
                opens_page=opens_page,
                keeps=keeps,
            )
        )
    except KeyboardInterrupt:
        err.print("stopped")
