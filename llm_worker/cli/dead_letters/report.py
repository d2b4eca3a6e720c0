"""A replay as people and programs see it: the price first, then a question, then what was sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from llm_worker.adapters.clock import SystemClock
from llm_worker.cli.app import out, print_json, say
from llm_worker.cli.dead_letters.run import ReplayRun
from llm_worker.cli.providers.state import settings_and_faults
from llm_worker.cli.tables import folded, new_table, numbers, print_table
from llm_worker.cli.wording import plain_usd
from llm_worker.domain.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from llm_worker.bootstrap import Settings
    from llm_worker.cli.dead_letters.price import PricedCalls
    from llm_worker.cli.dead_letters.run import Plan
    from llm_worker.cli.dead_letters.topic import Place, Wanted

_CENT_OF_A_CENT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """One use of the command; nothing is asked with `yes`, nothing is sent with `dry_run`."""

    places: Sequence[Place]
    dry_run: bool
    yes: bool
    as_json: bool

    def run(self, wanted: Callable[[Settings], Wanted]) -> bool:
        """Price, ask and send. False: not all that was named could be sent."""
        settings, faults = settings_and_faults(SystemClock())
        if faults:
            say(f"what it costs is not known, as nobody is asked by these settings: {faults[0]}")
        run = ReplayRun(settings, can_price=not faults)
        plan = asyncio.run(run.plan(wanted(settings), self.places))
        self._tell(plan)
        sent = None
        if plan.candidates and not self.dry_run:
            self._ask(plan)
            sent = asyncio.run(run.send(plan))
        if self.as_json:
            print_json(plan_as_json(plan, sent))
        elif sent is not None:
            click.echo(f"sent {sent} requests")
            say("see their results with `llm-worker tail comparison_result`")
        return not self.places or not (plan.refused or plan.missing)

    def _tell(self, plan: Plan) -> None:
        for letter, why in plan.refused:
            say(f"{letter.at} is not sent: {printable(why)}")
        for partition, offset in plan.missing:
            say(f"{partition}:{offset} is not sent: there is no dead letter")
        if plan.deadlines:
            say(f"{plan.deadlines} had a deadline (not_after): it is left out")
        if not self.as_json:
            show_plan(plan)

    def _ask(self, plan: Plan) -> None:
        if self.yes:
            return
        if self.as_json:  # which is printed, prices included, at the end only
            for calls in plan.calls:
                price = f"about USD {_usd(calls.about_usd)}, at most USD {_usd(calls.most_usd)}"
                say(f"{calls.requests} to {_who(calls)}: {price}")
        click.confirm(f"Send {len(plan.candidates)} requests?", abort=True, err=True)


def show_plan(plan: Plan) -> None:
    """Print how many there are, what they failed with, and what the calls would cost."""
    codes = ", ".join(f"{count} {code}" for code, count in plan.codes.most_common())
    out.print(escape(f"{len(plan.candidates)} to send{f': {codes}' if codes else ''}"))
    if not plan.candidates:
        return
    table = new_table(*folded("asked first"), *numbers("requests", "about USD", "at most USD"))
    for calls in plan.calls:
        table.add_row(
            escape(_who(calls)), str(calls.requests), _usd(calls.about_usd), _usd(calls.most_usd)
        )
    print_table(table, crop=False)
    say("one call each, and none from the cache; retries and fallbacks may cost more")


def plan_as_json(plan: Plan, sent: int | None) -> dict[str, Any]:
    """Give it to a program; money as decimal text, null where it is unknown or nothing was sent."""
    return {
        "requests": [
            {
                "at": each.letter.at,
                "replay_of": str(each.letter.event_id),
                "event_id": str(each.event_id),
            }
            for each in plan.candidates
        ],
        "codes": dict(plan.codes),
        "estimates": [
            {
                "provider": calls.target and calls.target.provider,
                "model": calls.target and calls.target.model,
                "requests": calls.requests,
                "about_usd": _text(calls.about_usd),
                "at_most_usd": _text(calls.most_usd),
            }
            for calls in plan.calls
        ],
        "not_sent": [
            *({"at": letter.at, "why": why} for letter, why in plan.refused),
            *({"at": f"{p}:{o}", "why": "there is no dead letter"} for p, o in plan.missing),
        ],
        "without_deadline": plan.deadlines,
        "sent": sent,
    }


def _who(calls: PricedCalls) -> str:
    if calls.target is None:
        return "nobody here"
    return f"{calls.target.provider}, {calls.target.model}"


def _usd(usd: Decimal | None) -> str:
    return "unknown" if usd is None else f"{usd:.{_CENT_OF_A_CENT}f}"


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else plain_usd(usd)
