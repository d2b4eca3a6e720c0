from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import orjson
import pytest
from typing_extensions import override

from llm_worker.adapters.web.answers import RequestError
from llm_worker.application.ports import Refusal
from llm_worker.bootstrap.web import comparing, handing_over
from llm_worker.bootstrap.web.comparing import Comparing
from llm_worker.client.errors import ClientError, NoAnswerError, UnreachableError
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.topics import load_topics
from tests.support.fakes import FakePublisher, FakeReplyTopics, ManualClock
from tests.support.site import verdict_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from llm_worker.client.submission import Submission
    from llm_worker.contracts.result import LLMComparisonResultV1

_ASKED = LLMComparisonRequestV1(user_prompt="Which is better?")
_QUEUED = LLMComparisonRequestV1(user_prompt="Which is better?", callback_topic="huleedu.cj")


class _Client:
    """Answers when it may; `error` comes instead."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.error: ClientError | None = None
        self.sent: list[Submission] = []
        self.opened = self.closed = 0
        self.opening: asyncio.Event | None = None
        self.is_reading = False

    def __call__(self) -> _Client:
        return self

    async def __aenter__(self) -> Self:
        self.opened += 1
        if self.opening is not None:
            await self.opening.wait()
        self.is_reading = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed += 1
        self.is_reading = False
        self.error = self.error or ClientError("the client no longer reads results")
        self.may_answer.set()

    async def submit_many(
        self, submissions: Iterable[Submission], *, silence_s: float
    ) -> AsyncGenerator[LLMComparisonResultV1]:
        assert silence_s == 300
        [submission] = submissions
        self.sent.append(submission)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        yield verdict_for(submission.request, submission.event_id)


class _Held(FakePublisher):
    """Never confirms."""

    @override
    async def confirm(self, _sendings: Any) -> Any:
        await asyncio.Event().wait()


@pytest.fixture
def client() -> _Client:
    return _Client()


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def ours(client: _Client, publisher: FakePublisher) -> Comparing:
    return _comparing(client, publisher)


def _comparing(client: _Client, publisher: FakePublisher) -> Comparing:
    return Comparing(
        new_client=client,
        topics=load_topics(),
        publisher=publisher,
        reply_topics=FakeReplyTopics({"huleedu.cj"}),
        clock=ManualClock(),
        wait_s=300,
    )


async def _until_sent(client: _Client, count: int = 1) -> None:
    while len(client.sent) < count:  # noqa: ASYNC110 - the fake tells nobody
        await asyncio.sleep(0)


async def test_queued_request_is_held_by_the_broker_with_its_trace(
    ours: Comparing, publisher: FakePublisher
) -> None:
    event_id, trace = uuid4(), {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    await ours.queue(_QUEUED, event_id, trace)
    [record] = publisher.held
    envelope = orjson.loads(record.value or b"")
    assert envelope["event_id"] == str(event_id)
    assert envelope["metadata"] == trace
    assert ("traceparent", trace["traceparent"].encode()) in record.headers
    assert record.topic == "huleedu.llm_provider.comparison_requested.v1"


async def test_what_the_broker_does_not_confirm_is_503(
    client: _Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing_over, "_WITHIN_S", 0.0)
    with pytest.raises(RequestError, match="may have it all the same") as caught:
        await _comparing(client, _Held()).queue(_QUEUED, uuid4(), {})
    assert caught.value.status == 503


@pytest.mark.parametrize(
    ("refusal", "status"), [(Refusal.TOO_LARGE, 400), (Refusal.NOT_DELIVERABLE, 503)]
)
async def test_what_the_broker_refuses_is_told_and_tried_as_a_callers_record(
    client: _Client, refusal: Refusal, status: int
) -> None:
    publisher = FakePublisher(refuse=lambda _record: refusal)
    with pytest.raises(RequestError) as caught:
        await _comparing(client, publisher).queue(_QUEUED, uuid4(), {})
    assert caught.value.status == status
    assert not publisher.sent[0].is_own, "or nobody would close the breaker that it opens"


@pytest.mark.parametrize("method", ["compare", "queue"])
async def test_what_no_record_can_hold_is_refused_before_anybody_is_disturbed(
    ours: Comparing, client: _Client, publisher: FakePublisher, method: str
) -> None:
    nested: dict[str, Any] = {}
    for _ in range(300):
        nested = {"n": nested}
    for metadata, words in (({"x": [1e15] * 400_000}, "does not fit"), (nested, "too deeply")):
        asked = _QUEUED.model_copy(update={"metadata": metadata})
        with pytest.raises(RequestError, match=words) as caught:
            await getattr(ours, method)(asked, uuid4(), {})
        assert caught.value.status == 400
    assert not client.opened
    assert not publisher.sent


async def test_second_request_with_the_same_key_is_refused_while_the_first_waits(
    ours: Comparing, client: _Client
) -> None:
    event_id = uuid4()
    first = asyncio.ensure_future(ours.compare(_ASKED, event_id, {}))
    await _until_sent(client)
    with pytest.raises(RequestError) as caught:
        await ours.compare(_ASKED, event_id, {})
    assert (caught.value.status, caught.value.answer.retry_after) == (409, 1)
    client.may_answer.set()
    assert (await first).request_id == str(event_id)
    assert (await ours.compare(_ASKED, event_id, {})).request_id == str(event_id)


async def test_only_so_many_wait_at_once(
    ours: Comparing, client: _Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_WAITING_AT_MOST", 1)
    first = asyncio.ensure_future(ours.compare(_ASKED, uuid4(), {}))
    await _until_sent(client)
    with pytest.raises(RequestError, match="too many requests wait"):
        await ours.compare(_ASKED, uuid4(), {})
    client.may_answer.set()
    await first


@pytest.mark.parametrize(
    ("error", "error_type"),
    [(NoAnswerError("late"), "TIMEOUT"), (UnreachableError("no broker"), "SERVICE_UNAVAILABLE")],
)
async def test_what_goes_wrong_while_waiting_is_503(
    ours: Comparing, client: _Client, error: ClientError, error_type: str
) -> None:
    client.error = error
    client.may_answer.set()
    with pytest.raises(RequestError) as caught:
        await ours.compare(_ASKED, uuid4(), {})
    assert client.closed == 0, "others wait with the same client"
    assert (caught.value.status, caught.value.answer.error_type) == (503, error_type)


async def test_client_that_reads_no_more_is_replaced(ours: Comparing, client: _Client) -> None:
    client.error = ClientError("gone")
    waiting = asyncio.ensure_future(ours.compare(_ASKED, uuid4(), {}))
    await _until_sent(client)
    client.is_reading = False
    client.may_answer.set()
    with pytest.raises(RequestError):
        await waiting
    client.error = None
    await ours.compare(_ASKED, uuid4(), {})
    assert client.opened == 2


async def test_all_wait_for_one_opening_and_no_longer_than_they_may(
    ours: Comparing, client: _Client
) -> None:
    ours._wait_s = 0.01
    client.opening = asyncio.Event()
    waiting = [ours.compare(_ASKED, uuid4(), {}) for _ in range(5)]
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in refused] == [RequestError] * 5
    assert client.opened == 1
    await ours.aclose()
    assert client.closed == 0, "it never opened"


async def test_results_are_followed_only_while_somebody_waits_or_has_just_waited(
    ours: Comparing, client: _Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_IDLE_S", 0.0)
    client.may_answer.set()
    await ours.compare(_ASKED, uuid4(), {})
    async with asyncio.timeout(5):
        while not client.closed:  # noqa: ASYNC110 - the fake tells nobody
            await asyncio.sleep(0)


async def test_result_that_comes_as_the_process_stops_is_given(
    ours: Comparing, client: _Client
) -> None:
    waiting = asyncio.ensure_future(ours.compare(_ASKED, uuid4(), {}))
    await _until_sent(client)
    closing = asyncio.ensure_future(ours.aclose())
    await asyncio.sleep(0)
    client.may_answer.set()
    assert (await waiting).winner
    await closing
    assert client.closed == 1


async def test_who_waits_when_the_process_stops_is_told_to_ask_again(
    ours: Comparing, client: _Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_LAST_RESULTS_S", 0.0)
    waiting = asyncio.ensure_future(ours.compare(_ASKED, uuid4(), {}))
    await _until_sent(client)
    await ours.aclose()
    with pytest.raises(RequestError, match="this process stops"):
        await waiting
    with pytest.raises(RequestError, match="this process stops"):
        await ours.compare(_ASKED, uuid4(), {})
    with pytest.raises(RequestError, match="this process stops"):
        await ours.queue(_QUEUED, uuid4(), {})
