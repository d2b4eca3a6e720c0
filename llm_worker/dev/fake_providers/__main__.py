"""Run the fake providers by themselves: `python -m llm_worker.dev.fake_providers --port N`."""

from __future__ import annotations

import asyncio
import signal

import click

from llm_worker.dev.fake_providers.process import STARTED
from llm_worker.dev.fake_providers.server import BASES, FakeProviderServer


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="A free one if 0.")
def main(*, port: int) -> None:
    """Serve all providers' APIs on one port of this machine until SIGTERM or Ctrl-C."""
    asyncio.run(_serve(port))


async def _serve(port: int) -> None:
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    async with FakeProviderServer(port=port) as server:
        for name in BASES:
            click.echo(f"{name:12} {server.base_url(name)}")
        click.echo(f"{STARTED} {server.url}/_control")
        await told_to_stop.wait()


if __name__ == "__main__":
    main()
