"""The long-running processes: `llm-worker worker`, `accountant` and `dev`."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import TYPE_CHECKING

import click

from llm_worker import bootstrap
from llm_worker.cli.app import err
from llm_worker.dev.cache import EmbeddedCache
from llm_worker.dev.fake_providers.process import FakeProviders
from llm_worker.dev.leashed import EmbeddedServerError, require_free
from llm_worker.dev.stack import LocalStack

if TYPE_CHECKING:
    from llm_worker.bootstrap import Settings

_LOOK_EVERY_S = 1.0
_PORT = click.IntRange(1, 65535)
_web_port = click.option(
    "--web-port",
    type=click.IntRange(0, 65535),
    help="HTTP port instead of the settings'; 0: any free one, the log says which.",
)


@click.command()
@_web_port
def worker(*, web_port: int | None) -> None:
    """Consume requests, buy verdicts, publish results.

    SIGTERM drains: no new requests, running calls end within LLM_WORKER_DRAIN_S, and what is not
    answered by then comes again to another worker.
    """
    from llm_worker.bootstrap.worker import app as built  # noqa: PLC0415 - dev does without Faust

    settings = built.load_worker_settings()
    if web_port is not None:
        settings = _with_web(settings, port=web_port)
    raise SystemExit(built.run_worker(settings))


@click.command()
@_web_port
def accountant(*, web_port: int | None) -> None:
    """Add up what is spent, publish totals, analytics and cost alerts.

    One is enough, and a second one stands by. SIGTERM ends it once its batch is done.
    """
    from llm_worker.bootstrap.accountant import app as built  # noqa: PLC0415 - dev does without Faust

    settings = bootstrap.load_settings()
    if web_port is not None:
        settings = _with_web(settings, accountant_port=web_port)
    raise SystemExit(built.run_accountant(settings))


def _with_web(settings: Settings, **ports: int) -> Settings:
    return settings.model_copy(update={"web": settings.web.model_copy(update=ports)})


@click.command()
@click.option(
    "--kafka-port", type=_PORT, default=9092, show_default=True, help="Port of the broker."
)
@click.option(
    "--web-port", type=_PORT, default=8080, show_default=True, help="Port of the health pages."
)
@click.option(
    "--fake-providers",
    "with_fakes",
    is_flag=True,
    help="Ask a server on this machine that speaks the APIs of all providers, and that can be made "
    "to fail.",
)
def dev(*, kafka_port: int, web_port: int, with_fakes: bool) -> None:
    """Run broker, cache, worker and accountant on this machine.

    The mock judges unless a provider's key is set. Nothing has to be installed beside
    `llm-worker[dev]`. Records live as long as the command: Ctrl-C ends everything.
    """
    settings = bootstrap.load_settings()
    _refuse_taken("--kafka-port", kafka_port)
    _refuse_taken("--web-port", web_port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run_stack(settings, kafka_port=kafka_port, web_port=web_port, with_fakes=with_fakes)
    except KeyboardInterrupt:
        err.print("stopped")


def _run_stack(settings: Settings, *, kafka_port: int, web_port: int, with_fakes: bool) -> None:
    with ExitStack() as running:
        directory = Path(running.enter_context(TemporaryDirectory(prefix="llm-worker-dev-")))
        cache = running.enter_context(EmbeddedCache(directory / "cache"))
        fakes = running.enter_context(FakeProviders(directory / "fakes")) if with_fakes else None
        stack = running.enter_context(
            LocalStack(
                directory,
                catalog=bootstrap.catalog(settings),
                environment=fakes.environment if fakes else _judges(settings),
                inherit_environment=True,
                cache_url=cache.url,
                kafka_port=kafka_port,
                web_port=web_port,
                with_accountant=True,
                report=err.print,
            )
        )
        click.echo(_welcome(stack, settings))
        if fakes is not None:
            click.echo(_how_to_break(fakes))
        while True:
            time.sleep(_LOOK_EVERY_S)
            stack.require_running()


def _judges(settings: Settings) -> dict[str, str]:
    """Let the mock judge where nobody else can."""
    from llm_worker.bootstrap.providers.configured import usable_providers  # noqa: PLC0415 - with prices

    return {} if usable_providers(settings) else {"LLM_WORKER_PROVIDERS__MOCK__ENABLED": "true"}


def _how_to_break(fakes: FakeProviders) -> str:
    return dedent(f"""
        Providers  {fakes.url}, all of them; make one fail, and well again:
          curl {fakes.url}/_control/anthropic -d '{{"always": {{"kind": "overloaded"}}}}'
          curl {fakes.url}/_control/anthropic -d '{{"always": {{"kind": "verdict"}}}}'""")


def _refuse_taken(option: str, port: int) -> None:
    try:
        require_free(port)
    except EmbeddedServerError as error:
        raise click.ClickException(f"{option}: {error}") from error


def _welcome(stack: LocalStack, settings: Settings) -> str:
    is_default = settings.kafka.bootstrap_servers == (stack.bootstrap_servers,)
    elsewhere = f"LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS={stack.bootstrap_servers} "
    command = f"{'' if is_default else elsewhere}llm-worker"
    return dedent(f"""
        Kafka      {stack.bootstrap_servers}
        page       {stack.web_url}/
        metrics    {stack.web_url}/metrics
        spend      {stack.accountant_url}/api/v1/usage
        log        {stack.worker_log}

        In another terminal:
          {command} compare A.txt B.txt
          {command} tail comparison_result
          {command} usage
          {command} topics check

        Ctrl-C ends everything.""")
