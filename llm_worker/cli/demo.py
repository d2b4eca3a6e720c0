"""`llm-worker demo`: the product's job on real input, in a minute, with nothing installed."""

from __future__ import annotations

import signal

import click

from llm_worker.cli.app import err


@click.command()
def demo() -> None:
    """Rank twelve sample essays: every pair, through an embedded Kafka and a worker.

    The mock provider judges; nothing is spent and nothing is left behind.
    """
    # Also SIGINT: whoever is started in the background of a script is born ignoring it.
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    try:
        # Not before, so that Ctrl-C ends well while this is imported, too.
        from llm_worker.cli.demo_run import run_demo  # noqa: PLC0415

        run_demo()
    except KeyboardInterrupt:
        err.print("stopped")
