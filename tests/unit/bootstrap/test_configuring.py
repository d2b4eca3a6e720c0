from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.adapters.web.answers import RequestError
from llm_worker.application.ports import Refusal
from llm_worker.bootstrap.runtime.settings import ControlledSettings
from llm_worker.bootstrap.web import configuring
from llm_worker.bootstrap.web.configuring import Configuring
from llm_worker.contracts.topics import load_topics
from llm_worker.settings import load_settings
from tests.support.fakes import FakePublisher, ManualClock

if TYPE_CHECKING:
    from llm_worker.settings import Settings

_NAME = "retry.attempts"


class _Topic(FakePublisher):
    """The control topic: what it holds is followed at once."""

    controlled: ControlledSettings | None = None
    """None: nobody follows."""
    may_confirm: asyncio.Event | None = None

    @override
    async def confirm(self, sendings: Any) -> Any:
        if self.may_confirm is not None:
            await self.may_confirm.wait()
        refusals = await super().confirm(sendings)
        for record in self.held:
            if self.controlled is not None:
                self.controlled.take(record.key, record.value)
        return refusals


@pytest.fixture
def topic() -> _Topic:
    return _Topic()


@pytest.fixture
def config(topic: _Topic) -> Configuring:
    topic.controlled = ControlledSettings(load_settings({}))
    return _config(topic, topic.controlled)


def _config(topic: _Topic, controlled: ControlledSettings) -> Configuring:
    topics = load_topics()
    return Configuring(
        controlled=controlled,
        topics=topics,
        codec=EventRenderer(topics),
        publisher=topic,
        clock=ManualClock(),
    )


async def test_change_is_published_followed_and_logged_with_before_and_after(
    config: Configuring, topic: _Topic
) -> None:
    with capture_logs() as lines:
        answer = await config.set(_NAME, 7, "a bad evening")
    assert (answer.value, answer.previous, answer.source) == (7, 4, "control")
    assert (answer.changed_by, answer.reason) == ("admin", "a bad evening")
    [record] = topic.held
    assert (record.topic, record.key) == ("huleedu.llm_provider.control.v1", _NAME.encode())
    assert lines == [
        {
            "event": "audit",
            "log_level": "info",
            "by": "admin",
            "setting": _NAME,
            "before": 4,
            "after": 7,
            "reason": "a bad evening",
            "outcome": "held",
        }
    ]


async def test_unset_gives_every_process_its_own_value_again(
    config: Configuring, topic: _Topic
) -> None:
    await config.set(_NAME, 7, None)
    answer = await config.unset(_NAME)
    assert (answer.value, answer.previous, answer.source) == (4, 7, "default")
    assert (topic.held[-1].key, topic.held[-1].value) == (_NAME.encode(), None)


@pytest.mark.parametrize(
    ("name", "value", "status", "named"),
    [
        (_NAME, 0, 400, "RETRY__ATTEMPTS"),
        (_NAME, "many", 400, "1 to 20"),
        (_NAME, {"a": 1}, 400, "RETRY__ATTEMPTS"),
        ("retry.attemps", 1, 404, "did you mean retry.attempts?"),
        ("kafka.group", "x", 404, "restart"),
    ],
)
async def test_what_cannot_be_set_is_refused_with_the_reason_and_published_nowhere(
    config: Configuring, topic: _Topic, name: str, value: object, status: int, named: str
) -> None:
    with pytest.raises(RequestError, match=named) as caught:
        await config.set(name, value, None)
    assert caught.value.status == status
    assert not topic.sent


async def test_change_that_does_not_go_together_with_the_rest_is_refused(topic: _Topic) -> None:
    def checks(settings: Settings, _changed: object) -> list[str]:
        return ["both at once"] if settings.retry.attempts == 7 else []

    controlled = ControlledSettings(load_settings({}), checks=checks)
    with pytest.raises(RequestError, match="both at once"):
        await _config(topic, controlled).set(_NAME, 7, None)


async def test_change_that_nobody_follows_yet_is_answered_with_what_holds(
    config: Configuring, topic: _Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuring, "_FOLLOWED_WITHIN_S", 0.0)
    topic.controlled = None
    answer = await config.set(_NAME, 7, None)
    assert (answer.value, answer.source) == (4, "default")
    assert len(topic.held) == 1


@pytest.mark.parametrize("refusal", [Refusal.NOT_DELIVERABLE, None])
async def test_change_that_is_not_known_to_be_held_is_logged_too(
    config: Configuring, topic: _Topic, refusal: Refusal | None
) -> None:
    topic.refuse = lambda _record: refusal
    if refusal is None:
        topic.may_confirm = asyncio.Event()
    with capture_logs() as lines:
        changing = asyncio.ensure_future(config.set(_NAME, 7, None))
        while not topic.sent:  # noqa: ASYNC110 - the fake tells nobody
            await asyncio.sleep(0)
        changing.cancel()
        with pytest.raises((RequestError, asyncio.CancelledError)):
            await changing
    assert [line["after"] for line in lines] == [7]
    assert lines[0]["outcome"] != "held"


async def test_nothing_is_changed_by_a_process_that_stops(topic: _Topic) -> None:
    config = replace(
        _config(topic, ControlledSettings(load_settings({}))), is_stopping=lambda: True
    )
    with pytest.raises(RequestError, match="this process stops"):
        await config.set(_NAME, 7, None)
    assert not topic.sent


async def test_list_has_every_runtime_setting_with_its_meaning(config: Configuring) -> None:
    listed = {each.name: each for each in config.list()}
    assert {"max_in_flight", "routing.strategy", "budget.daily_usd", _NAME} <= listed.keys()
    assert all(each.meaning for each in listed.values())
