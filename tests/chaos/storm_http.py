"""Callers over HTTP: each asks one worker after the other, under one key, until it is answered."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from llm_worker.client.errors import ClientError
from llm_worker.client.failures import ComparisonError
from llm_worker.client.http import HttpComparisonClient
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.domain.request import build_prompt
from tests.chaos.evidence import Sent
from tests.chaos.storm_bills import HttpAnswer
from tests.chaos.watch import beside, paced, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

_PROMPT = "Which essay answers the task better?"
_ESSAY_B = "It is as it is."
_PATIENCE_S = 20.0
"""With one worker, before the next one is asked."""


class HttpLoad:
    """Asks at a rate, and knows what came of it.

    Args:
        urls: Gives the workers that may be asked now.
    """

    def __init__(self, urls: Callable[[], Sequence[str]]) -> None:
        self._urls = urls
        self._clients: dict[str, HttpComparisonClient] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self.sent: list[Sent] = []
        self.answers: dict[str, HttpAnswer] = {}

    @asynccontextmanager
    async def running(self, *, rate_per_s: float) -> AsyncIterator[None]:
        """Ask beside the body; who has no answer when it ends goes on asking."""

        async def run() -> None:
            async for number in paced(rate_per_s):
                self._begin(number)

        async with beside(run()):
            yield

    async def until_answered(self, *, timeout_s: float) -> None:
        """Wait until nobody asks any more."""
        await until(lambda: not self._asking, timeout_s=timeout_s, what="HTTP callers are answered")

    async def aclose(self) -> None:
        """Give up."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        for client in self._clients.values():
            await client.__aexit__(None, None, None)

    def _begin(self, number: int) -> None:
        key, mark = str(uuid4()), str(uuid4())
        essay_a = f"Essay number {number} {mark}"
        request = LLMComparisonRequestV1(
            user_prompt=_PROMPT,
            essay_a=essay_a,
            essay_b=_ESSAY_B,
            correlation_id=uuid4(),
            organization_id="school-http",
            metadata={"mark": mark},
        )
        sent = Sent(
            mark=mark,
            event_id=key,
            correlation_id=str(request.correlation_id),
            prompt_sha256=build_prompt(request).sha256,
        )
        self.sent.append(sent)
        task = asyncio.ensure_future(self._ask(request, sent))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, request: LLMComparisonRequestV1, sent: Sent) -> None:
        while sent.mark not in self.answers:
            try:
                found = await self._client().judge(
                    request, timeout_s=_PATIENCE_S, idempotency_key=sent.event_id
                )
                self.answers[sent.mark] = HttpAnswer(
                    winner=found.winner, justification=found.justification
                )
            except ComparisonError as error:
                if not _is_of_the_way(error):
                    self.answers[sent.mark] = HttpAnswer(error_code=error.code)
            except ClientError:
                pass  # that worker is gone, or has no answer yet: the next one
            await asyncio.sleep(0.2)

    def _client(self) -> HttpComparisonClient:
        url = random.choice(self._urls())  # noqa: S311 - any of them
        if url not in self._clients:
            self._clients[url] = HttpComparisonClient(url)
        return self._clients[url]


def _is_of_the_way(error: ComparisonError) -> bool:
    """Say whether it is only this worker that has no answer, and not the request that failed."""
    return error.is_retryable and "this stays the answer" not in str(error)
