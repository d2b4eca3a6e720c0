"""Worker and accountant as the tests start them: they end with the tests.

A worker's provider may hang for ever, and its calls over HTTP are noted as the mock notes its own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from llm_worker.adapters.providers.http_provider import HttpProvider
from llm_worker.adapters.providers.mock import MockProvider, _note_call
from llm_worker.bootstrap import load_settings
from llm_worker.bootstrap.accountant import app as accountant
from llm_worker.bootstrap.providers import configured as providers
from llm_worker.bootstrap.worker import app as worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion

STUBBORN = "stubborn"
"""An essay A that begins so is judged by nobody, ever."""

ACCOUNTANT = "accountant"
JOURNAL = "journal="
"""Followed by a file: every call over HTTP is noted there."""


class StubbornProvider(MockProvider):
    """Hangs for ever over some requests, and does not let itself be cancelled."""

    @override
    async def judge(
        self, request: ComparisonRequest, attempt: Attempt, limit_s: float
    ) -> Completion:
        completion = await super().judge(request, attempt, limit_s)
        while (request.asked.essay_a or "").startswith(STUBBORN):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
        return completion


def _note_calls(journal: Path) -> None:
    judge = HttpProvider.judge

    async def judge_and_note(
        self: HttpProvider, request: ComparisonRequest, attempt: Attempt, limit_s: float
    ) -> Completion:
        _note_call(journal, request, attempt)
        return await judge(self, request, attempt, limit_s)

    setattr(HttpProvider, "judge", judge_and_note)  # noqa: B010 - a stub, unknown to the types


def run(arguments: Sequence[str]) -> int:
    """Run a worker or an accountant, and give its exit code."""
    if ACCOUNTANT in arguments:
        return accountant.run_accountant(load_settings())
    if STUBBORN in arguments:
        setattr(providers, "MockProvider", StubbornProvider)  # noqa: B010 - a stub, unknown to the types
    for argument in arguments:
        if argument.startswith(JOURNAL):
            _note_calls(Path(argument.removeprefix(JOURNAL)))
    return worker.run_worker(worker.load_worker_settings())
