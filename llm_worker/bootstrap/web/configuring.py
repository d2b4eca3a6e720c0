"""Changing runtime settings over HTTP: through the control topic, so that every process follows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from llm_worker.adapters.web.answers import RequestError, invalid, not_found, unavailable
from llm_worker.bootstrap.web.handing_over import hand_over
from llm_worker.contracts.events import LLMControlV1
from llm_worker.contracts.http import ChangeAnswer, SettingAnswer
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.control_events import control_event
from llm_worker.domain.delivery import Record
from llm_worker.settings import SettingsError, runtime_variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.application.ports import Clock, EventPublisher, Renderer
    from llm_worker.bootstrap.runtime.settings import ControlledSettings
    from llm_worker.contracts.topics import TopicCatalog

_KEY_NAME: Final = "admin"
_FOLLOWED_WITHIN_S: Final = 5.0
_LOOK_S: Final = 0.05
_log = structlog.get_logger("llm_worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuring:
    """See RuntimeConfig. Every change is logged as `audit`, whatever is logged else."""

    controlled: ControlledSettings
    topics: TopicCatalog
    codec: Renderer
    publisher: EventPublisher
    clock: Clock
    is_stopping: Callable[[], bool] = lambda: False

    def list(self) -> list[SettingAnswer]:
        """See RuntimeConfig."""
        return [self.get(name) for name in runtime_variables()]

    def get(self, name: str) -> SettingAnswer:
        """See RuntimeConfig."""
        try:
            found = self.controlled.of(name)
        except SettingsError as error:
            raise not_found(str(error)) from None
        change = found.change
        return SettingAnswer(
            name=name,
            value=found.value,
            source=found.source.value,
            meaning=runtime_variables()[name].meaning,
            changed_by=change and change.changed_by,
            changed_at=change and change.changed_at,
            reason=change and change.reason,
        )

    async def set(self, name: str, value: Any, reason: str | None) -> ChangeAnswer:  # noqa: ANN401 - each setting has a type of its own
        """See RuntimeConfig."""
        before = self.get(name)
        try:
            checked = self.controlled.checked(name, value)
        except SettingsError as error:
            raise invalid(str(error)) from None
        change = LLMControlV1(
            setting=name,
            value=checked,
            changed_by=_KEY_NAME,
            changed_at=self.clock.now(),
            reason=reason,
            previous=before.value,
        )
        record = self.codec.render(control_event(change))
        await self._publish(record, before=before, after=checked, reason=reason)
        return await self._followed(before, lambda: self.controlled.changes.get(name) == change)

    async def unset(self, name: str) -> ChangeAnswer:
        """See RuntimeConfig."""
        before = self.get(name)
        try:
            self.controlled.check_unset(name)
        except SettingsError as error:
            raise invalid(str(error)) from None
        topic = self.topics.on_broker(TopicName.CONTROL)
        record = Record(topic=topic, key=name.encode(), value=None, headers=())
        await self._publish(record, before=before, after="unset", reason=None)
        return await self._followed(before, lambda: name not in self.controlled.changes)

    async def _publish(
        self,
        record: Record,
        *,
        before: SettingAnswer,
        after: Any,  # noqa: ANN401 - each setting has a type of its own
        reason: str | None,
    ) -> None:
        """Publish a change, and say who made it, however it goes: it may be in force."""
        outcome = "not confirmed"
        try:
            if self.is_stopping():
                raise unavailable("this process stops; ask another one", retry_after_s=5)
            await hand_over(self.publisher, record)
            outcome = "held"
        except RequestError as error:
            outcome = error.answer.error
            raise
        finally:
            _log.info(
                "audit",
                by=_KEY_NAME,
                setting=before.name,
                before=before.value,
                after=after,
                reason=reason,
                outcome=outcome,
            )

    async def _followed(
        self, before: SettingAnswer, is_followed: Callable[[], bool]
    ) -> ChangeAnswer:
        """Give the setting as this process has it, once it follows, as every other one does."""
        due_s = self.clock.monotonic() + _FOLLOWED_WITHIN_S
        while not is_followed() and self.clock.monotonic() < due_s:  # noqa: ASYNC110 - see below
            await asyncio.sleep(_LOOK_S)  # whoever follows the topic tells nobody
        return ChangeAnswer(**dict(self.get(before.name)), previous=before.value)
