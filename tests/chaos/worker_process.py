"""The worker as the tests start it: it ends with them, and its provider may hang for ever."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from typing_extensions import override

from llm_worker.adapters.providers.mock import MockProvider
from llm_worker.bootstrap import providers, worker

if TYPE_CHECKING:
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion

STUBBORN = "stubborn"
"""An essay A that begins so is judged by nobody, ever."""


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


def _end_with_parent() -> NoReturn:
    os.read(0, 1)  # not sys.stdin, whose lock would hold up our exit
    os._exit(99)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.argv[1:] == [STUBBORN]:
        setattr(providers, "MockProvider", StubbornProvider)  # noqa: B010 - a stub, unknown to the types
    raise SystemExit(worker.run_worker(worker.load_worker_settings()))
