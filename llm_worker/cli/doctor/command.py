"""`llm-worker doctor`: everything the worker needs, and what to do about what is not there."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final

import click
from rich.markup import escape

from llm_worker import bootstrap
from llm_worker.adapters.cache.probe import CacheUnreachableError, read_state
from llm_worker.adapters.clock import SystemClock
from llm_worker.bootstrap.cache.checks import cache_faults
from llm_worker.bootstrap.cache.stores import redis_address
from llm_worker.bootstrap.providers.configured import build_provider, usable_providers
from llm_worker.bootstrap.providers.routing import provider_warnings, routing_faults
from llm_worker.cli.app import FAILED, json_option, out, print_json
from llm_worker.cli.doctor.kafka import examine_kafka
from llm_worker.cli.findings import Finding, Level
from llm_worker.contracts.documents.flows import Party
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.application.ports import Clock, Provider
    from llm_worker.bootstrap import Settings

_CACHE_TIMEOUT_S: Final = 3.0
_PROBE_LIMIT_S: Final = 10.0
_CLOCK_TOLERANCE: Final = timedelta(seconds=2)


@click.command()
@click.option(
    "--process",
    type=click.Choice([Party.WORKER.value, Party.ACCOUNTANT.value]),
    default=Party.WORKER.value,
    show_default=True,
    help="Whose rights are looked at; an accountant needs neither providers nor Redis.",
)
@json_option
def doctor(*, process: str, as_json: bool) -> None:
    """Check broker, topics, rights, spend, providers, keys, Redis and clock; say what to do.

    Sends nothing into any topic, and nothing that a provider bills. Exits 1 if there is a fault; a
    warning is none.
    """
    findings = asyncio.run(examine(bootstrap.load_settings(), SystemClock(), Party(process)))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
    if any(finding.level is Level.FAULT for finding in findings):
        raise SystemExit(FAILED)


async def examine(settings: Settings, clock: Clock, party: Party = Party.WORKER) -> list[Finding]:
    """Make every check that concerns the party, all at once; at most about 15 seconds."""
    if party is not Party.WORKER:
        return await examine_kafka(settings, party)
    found = await asyncio.gather(
        examine_kafka(settings, party),
        _examine_providers(settings, clock),
        _examine_cache(settings, clock),
    )
    return list(chain(*found))


async def _examine_providers(settings: Settings, clock: Clock) -> list[Finding]:
    usable = usable_providers(settings)
    faults = [_of_providers(Level.FAULT, words) for words in routing_faults(settings, clock)]
    # Where nobody is usable, that fault has named them.
    left_out = provider_warnings(settings) if usable else ()
    warnings = [_of_providers(Level.WARNING, words) for words in left_out]
    probed = await asyncio.gather(
        *(probe(build_provider(settings, name, clock)) for name in usable)
    )
    return [*faults, *warnings, *probed]


async def probe(provider: Provider) -> Finding:
    """Ask the provider something that costs nothing, and close it.

    What may pass by itself is a warning, what needs a person (a wrong key, no credit) a fault.
    """
    try:
        await provider.probe(_PROBE_LIMIT_S)
    except ProviderError as error:
        return _of_providers(Level.WARNING if error.is_retryable else Level.FAULT, error.message)
    finally:
        await provider.aclose()
    words = _WITHOUT_KEY.get(provider.name, "answers, key accepted")
    return _of_providers(Level.OK, f"{provider.name}: {words}")


_KEEPS_ALL: Final = "noeviction"
_WITHOUT_KEY: Final = {
    ProviderName.SELF_HOSTED: "answers",
    ProviderName.MOCK: "needs no key, and makes its verdicts up",
}


def _of_providers(level: Level, words: str) -> Finding:
    return Finding(check="providers", level=level, words=words)


async def _examine_cache(settings: Settings, clock: Clock) -> list[Finding]:
    faults = [
        Finding(check="cache", level=Level.FAULT, words=text) for text in cache_faults(settings)
    ]
    if not settings.cache.redis_url.get_secret_value():
        words = "none configured: each worker has its own memory alone"
        return [*faults, Finding(check="Redis", level=Level.OK, words=words), clock_finding(None)]
    asked = clock.now()
    try:
        state = await read_state(redis_address(settings), _CACHE_TIMEOUT_S)
    except CacheUnreachableError as error:
        words = (
            f"{error}; until it is back, each worker has its own memory alone. "
            "Start it, or set LLM_WORKER_CACHE__REDIS_URL (empty: none)"
        )
        missing = Finding(check="Redis", level=Level.WARNING, words=words)
        return [*faults, missing, clock_finding(None)]
    # Whatever the answer took, its time lies between these two.
    middle = asked + (clock.now() - asked) / 2
    return [
        *faults,
        memory_finding(state.eviction_policy),
        clock_finding(state.time - middle),
    ]


def memory_finding(eviction_policy: str | None) -> Finding:
    """Judge what Redis does when its memory is full; None: it has no limit."""
    if eviction_policy in {None, _KEEPS_ALL}:
        return Finding(check="Redis", level=Level.OK, words="answers")
    words = (
        f"evicts when it is full (maxmemory-policy {eviction_policy}), and a request whose outcome "
        f"is gone is bought again: set {_KEEPS_ALL}"
    )
    return Finding(check="Redis", level=Level.WARNING, words=words)


def clock_finding(difference: timedelta | None) -> Finding:
    """Judge by how much Redis' clock is ahead of this machine's; None: nobody could be asked."""
    if difference is None:
        words = "not checked: only a Redis would tell its time"
        return Finding(check="clock", level=Level.OK, words=words)
    words = f"{abs(difference.total_seconds()):.3f} s from Redis' clock"
    if abs(difference) <= _CLOCK_TOLERANCE:
        return Finding(check="clock", level=Level.OK, words=words)
    remedy = "deadlines (not_after) will be misjudged: synchronise the clocks (NTP)"
    return Finding(check="clock", level=Level.WARNING, words=f"{words}: {remedy}")


def _show(findings: Sequence[Finding]) -> None:
    colours = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "red"}
    for finding in findings:
        level = f"[{colours[finding.level]}]{finding.level:<8}[/]"
        out.print(f"{level} {finding.check:<14} {escape(finding.words)}", soft_wrap=True)
