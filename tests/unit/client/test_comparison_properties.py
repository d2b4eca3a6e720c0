"""Whatever comes in whatever order: each request is resolved once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from llm_worker.client.comparison import ComparisonClient
from llm_worker.client.submission import Submission
from llm_worker.contracts.request import LLMComparisonRequestV1
from tests.support.results import result_record
from tests.support.virtual_time import VirtualTimeLoop

_REQUEST = LLMComparisonRequestV1(user_prompt="which?")


class Unconnected(ComparisonClient):
    """A client whose broker takes everything, and whose results the test brings."""

    @override
    async def _send(self, submission: Submission) -> asyncio.Future[None]:
        assert len(self._outstanding) <= self._max_outstanding
        held: asyncio.Future[None] = asyncio.Future()
        held.set_result(None)
        return held

    def receive(self, submission: Submission) -> None:
        self._outstanding.receive(submission.key, result_record(submission))


@given(
    correlations=st.lists(st.integers(1, 3), min_size=1, max_size=6),
    arriving=st.lists(st.integers(0, 7), max_size=30),
    bound=st.integers(1, 4),
)
def test_any_interleaving_of_duplicate_and_late_results_resolves_each_request_once(
    correlations: list[int], arriving: list[int], bound: int
) -> None:
    """Requests may share a correlation id; numbers beyond them are results of others."""
    sent = [
        Submission(request=_REQUEST, event_id=UUID(int=100 + n), correlation_id=UUID(int=joined))
        for n, joined in enumerate(correlations)
    ]
    others = [
        Submission(request=_REQUEST, event_id=UUID(int=200 + n), correlation_id=UUID(int=1))
        for n in range(8)
    ]

    async def story() -> list[str]:
        client = Unconnected("nobody:9092", max_outstanding=bound)
        resolved: list[str] = []

        async def collect() -> None:
            async with aclosing(client.submit_many(sent)) as results:
                resolved.extend([result.request_id async for result in results])

        async with asyncio.TaskGroup() as tasks:
            collecting = tasks.create_task(collect())
            for number in arriving:
                await asyncio.sleep(0)
                client.receive((sent + others)[number])
            while not collecting.done():
                await asyncio.sleep(0)
                for submission in sent:
                    client.receive(submission)
        assert len(client._outstanding) == 0
        return resolved

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        resolved = runner.run(story())

    assert sorted(resolved) == sorted(str(submission.event_id) for submission in sent)
