from __future__ import annotations

import asyncio
import traceback
from uuid import UUID

import pytest

from llm_worker.client.errors import ClientError, UnreadableResultError
from llm_worker.client.outstanding import Outstanding
from llm_worker.client.submission import Submission
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.result import LLMComparisonResultV1
from tests.support.results import result_record

Inbox = asyncio.Queue[LLMComparisonResultV1 | Exception]
SHARED = UUID("00000000-0000-4000-8000-0000000000ff")


def a_submission(number: int, correlation_id: UUID | None = None) -> Submission:
    return Submission(
        request=LLMComparisonRequestV1(user_prompt="which?"),
        event_id=UUID(int=number),
        correlation_id=correlation_id,
    )


def request_ids(inbox: Inbox) -> list[str]:
    arrived = [inbox.get_nowait() for _ in range(inbox.qsize())]
    return [one.request_id for one in arrived if isinstance(one, LLMComparisonResultV1)]


@pytest.fixture
def inbox() -> Inbox:
    return asyncio.Queue()


@pytest.fixture
def outstanding() -> Outstanding:
    return Outstanding()


def test_result_reaches_who_waits_for_it_and_is_forgotten(
    outstanding: Outstanding, inbox: Inbox
) -> None:
    submission = a_submission(1)
    outstanding.add(submission, inbox)

    outstanding.receive(submission.key, result_record(submission))

    assert request_ids(inbox) == [str(submission.event_id)]
    assert len(outstanding) == 0


def test_result_that_comes_twice_counts_once(outstanding: Outstanding, inbox: Inbox) -> None:
    submission = a_submission(1)
    outstanding.add(submission, inbox)

    for _ in range(2):
        outstanding.receive(submission.key, result_record(submission))

    assert inbox.qsize() == 1


def test_requests_under_one_correlation_id_are_told_apart(
    outstanding: Outstanding, inbox: Inbox
) -> None:
    first, second = a_submission(1, SHARED), a_submission(2, SHARED)
    outstanding.add(first, inbox)
    other: Inbox = asyncio.Queue()
    outstanding.add(second, other)

    outstanding.receive(second.key, result_record(second))

    assert inbox.empty()
    assert request_ids(other) == [str(second.event_id)]
    assert len(outstanding) == 1


@pytest.mark.parametrize("key", [None, b"somebody else"])
def test_records_of_others_are_not_even_parsed(
    outstanding: Outstanding, inbox: Inbox, key: bytes | None
) -> None:
    outstanding.add(a_submission(1), inbox)

    outstanding.receive(key, b"no JSON")

    assert inbox.empty()
    assert len(outstanding) == 1


def test_result_of_another_request_under_our_correlation_id_is_left_alone(
    outstanding: Outstanding, inbox: Inbox
) -> None:
    ours, theirs = a_submission(1, SHARED), a_submission(2, SHARED)
    outstanding.add(ours, inbox)

    outstanding.receive(theirs.key, result_record(theirs))

    assert inbox.empty()
    assert len(outstanding) == 1


def test_unreadable_answer_is_told_instead_of_waited_for(
    outstanding: Outstanding, inbox: Inbox
) -> None:
    submission = a_submission(1)
    outstanding.add(submission, inbox)

    outstanding.receive(submission.key, b'{"data": {}}')

    assert isinstance(inbox.get_nowait(), UnreadableResultError)
    assert len(outstanding) == 0


def test_one_event_id_cannot_wait_twice(outstanding: Outstanding, inbox: Inbox) -> None:
    outstanding.add(a_submission(1), inbox)

    with pytest.raises(ValueError, match="waiting for its result already"):
        outstanding.add(a_submission(1), inbox)


def test_discarded_request_leaves_nothing_behind(outstanding: Outstanding, inbox: Inbox) -> None:
    submission = a_submission(1)
    outstanding.add(submission, inbox)

    outstanding.discard(submission.key, str(submission.event_id))
    outstanding.discard(submission.key, str(submission.event_id))

    assert len(outstanding) == 0


def test_end_of_reading_is_told_to_those_who_wait_and_to_those_who_come(
    outstanding: Outstanding, inbox: Inbox
) -> None:
    outstanding.add(a_submission(1), inbox)

    outstanding.fail(ClientError("over"))

    assert isinstance(inbox.get_nowait(), ClientError)
    with pytest.raises(ClientError, match="over"):
        outstanding.add(a_submission(2), inbox)


def test_error_that_ended_it_keeps_no_frames_of_those_who_ask_later(
    outstanding: Outstanding, inbox: Inbox
) -> None:
    error = ClientError("no more")
    outstanding.fail(error)

    depths = []
    for number in range(3):
        with pytest.raises(ClientError) as caught:
            outstanding.add(a_submission(number), inbox)
        depths.append(len(list(traceback.walk_tb(caught.value.__traceback__))))

    assert len(set(depths)) == 1
