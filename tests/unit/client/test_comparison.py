from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from typing_extensions import override

from llm_worker.client.comparison import ComparisonClient
from llm_worker.client.errors import KafkaRefusalError, NoAnswerError
from llm_worker.contracts.request import LLMComparisonRequestV1
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from llm_worker.client.submission import Submission


class Refused(ComparisonClient):
    """A client whose requests all end with one error."""

    error: Exception

    @override
    async def _send(self, submission: Submission) -> asyncio.Future[None]:
        held: asyncio.Future[None] = asyncio.Future()
        held.set_exception(self.error)
        return held


class Stuck(ComparisonClient):
    """A client that cannot send: no broker answers, and the batch before is not sent yet."""

    @override
    async def _send(self, submission: Submission) -> asyncio.Future[None]:
        return await asyncio.Future()


def test_request_that_is_never_sent_has_no_more_time_than_another() -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        begun_s = runner.get_loop().time()
        with pytest.raises(NoAnswerError, match="no result within 10 s, 1 outstanding"):
            runner.run(
                Stuck("nobody:9092").ask(LLMComparisonRequestV1(user_prompt="?"), timeout_s=10)
            )
        assert runner.get_loop().time() == pytest.approx(begun_s + 10)


@pytest.mark.parametrize(
    ("error", "told"),
    [(MessageSizeTooLargeError(), KafkaRefusalError), (RuntimeError("boom"), RuntimeError)],
    ids=["by Kafka", "by a defect"],
)
def test_request_that_cannot_be_sent_ends_the_wait_for_it(
    error: Exception, told: type[Exception]
) -> None:
    client = Refused("nobody:9092")
    client.error = error

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, pytest.raises(told):
        runner.run(client.ask(LLMComparisonRequestV1(user_prompt="which?"), timeout_s=600))
