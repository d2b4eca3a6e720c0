"""Waiting for what the control topic and the totals hold, before the first request."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from faust.types import TP
from structlog.testing import capture_logs

from llm_worker.bootstrap import load_settings
from llm_worker.bootstrap.accountant.app import _keep_booking
from llm_worker.bootstrap.spend.spending import Spending, share_of
from llm_worker.contracts.vocabulary import REQUEST_TOPICS
from tests.support.builders import TOPICS
from tests.support.fakes import LoopClock
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_REQUESTS = [TOPICS.on_broker(name) for name in REQUEST_TOPICS.values()]


@pytest.fixture
def spending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spending:
    monkeypatch.chdir(tmp_path)
    return Spending(load_settings({}), TOPICS, LoopClock())


@pytest.mark.parametrize(
    ("found", "share"),
    [({}, 0.5), (dict.fromkeys(_REQUESTS, 24), 0.25), ({_REQUESTS[0]: 36}, 0.25)],
)
def test_share_is_of_the_partitions_that_there_are(found: dict[str, int], share: float) -> None:
    """The topics may have more than topics.yaml wants; all workers together have all of them."""
    ours = {TP(topic, number) for topic in _REQUESTS for number in range(6)}
    consumer = SimpleNamespace(topic_partitions=found.get)
    app = SimpleNamespace(assigned=lambda: {*ours, TP("other", 0)}, consumer=consumer)
    assert share_of(cast("Any", app), TOPICS) == share
    app.assigned = set
    assert share_of(cast("Any", app), TOPICS) == 0


def _run(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await story()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(told())


def _read_all(spending: Spending) -> None:
    """As when both topics have been read to their ends."""
    for topic in (spending._control, spending.feed._topic):
        topic._is_read.set()


def test_topics_that_cannot_be_read_are_waited_for_ten_seconds_and_told_once(
    spending: Spending,
) -> None:
    async def story() -> None:
        clock = LoopClock()
        began_s = clock.monotonic()
        await asyncio.gather(spending.until_read(), spending.until_read())
        assert clock.monotonic() - began_s == 10
        await spending.until_read()
        assert clock.monotonic() - began_s == 10

    with capture_logs() as logs:
        _run(story)
    assert [log["event"] for log in logs] == ["begins_with_own_settings"]
    assert spending.budgets() is spending.runtime.budgets


def test_topics_that_are_read_hold_nobody_up(spending: Spending) -> None:
    async def story() -> None:
        clock = LoopClock()
        began_s = clock.monotonic()
        _read_all(spending)
        await spending.until_read()
        assert clock.monotonic() == began_s

    with capture_logs() as logs:
        _run(story)
    assert logs == []


def test_accountant_books_nothing_before_it_knows_the_limits(spending: Spending) -> None:
    booked: list[bool] = []

    class _Intake:
        async def keep_booking(self) -> None:
            booked.append(spending._control.is_read)

    async def story() -> None:
        booking = asyncio.ensure_future(_keep_booking(spending, cast("Any", _Intake())))
        await asyncio.sleep(5)
        assert booked == []
        _read_all(spending)
        await booking

    _run(story)
    assert booked == [True]
