"""What the control topic sets, laid over the settings that a process has of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError

from llm_worker.bootstrap.budgets import budgets_of
from llm_worker.client.compacted import CompactedTopic
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.events import LLMControlV1
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.settings import (
    SettingsError,
    as_json,
    overlaid,
    require_runtime,
    runtime_variables,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.budgets import Budgets
    from llm_worker.settings import BudgetSettings

_BUDGET = "budget"
_Change = EventEnvelope[LLMControlV1]
_log = structlog.get_logger(__name__)


class Source(StrEnum):
    """Where a value comes from; the environment stands for the files of settings too."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    CONTROL = "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInForce:
    """A runtime setting as it holds; `value` as JSON has it, `change` who set it on the topic."""

    name: str
    value: Any
    source: Source
    change: LLMControlV1 | None


class ControlledSettings:
    """The runtime settings, from this process's own and the records of the control topic.

    Of each setting the last valid value holds: one that cannot be used changes nothing.
    """

    def __init__(self, budget: BudgetSettings) -> None:
        self._own = budget
        self._changes: dict[str, LLMControlV1] = {}
        self.budget = budget
        """In force now."""

    @property
    def changes(self) -> Mapping[str, LLMControlV1]:
        """What the control topic sets, by name."""
        return self._changes

    def take(self, key: bytes | None, value: bytes | None) -> bool:
        """Read one record of the topic; True: something has changed.

        Raises:
            SettingsError: It sets nothing that can be set, or not to that; all is as it was.
        """
        name = name_in(key)
        others = {each: change for each, change in self._changes.items() if each != name}
        changes = others if value is None else {**others, name: _read(name, value)}
        budget = self._with({each: change.value for each, change in changes.items()})
        has_changed = budget != self.budget
        self._changes, self.budget = changes, budget
        return has_changed

    def checked(self, name: str, value: object) -> Any:  # noqa: ANN401 - as each setting is
        """Give a value in the setting's own type, as it goes into the control topic.

        Raises:
            SettingsError: It is no runtime setting, or this is no value for it.
        """
        require_runtime(name)
        values = {each: change.value for each, change in self._changes.items()}
        return as_json(self._with({**values, name: value}), _field(name))

    def in_force(self) -> list[SettingInForce]:
        """Give every runtime setting, in the order of the settings' page."""
        return [self.of(name) for name in runtime_variables()]

    def of(self, name: str) -> SettingInForce:
        """Give one setting.

        Raises:
            SettingsError: It is no runtime setting.
        """
        require_runtime(name)
        return SettingInForce(
            name=name,
            value=as_json(self.budget, _field(name)),
            source=self._source(name),
            change=self._changes.get(name),
        )

    def _source(self, name: str) -> Source:
        if name in self._changes:
            return Source.CONTROL
        is_given = _field(name) in self._own.model_fields_set
        return Source.ENVIRONMENT if is_given else Source.DEFAULT

    def _with(self, values: Mapping[str, object]) -> BudgetSettings:
        fields = {_field(name): value for name, value in values.items()}
        return overlaid(self._own, fields, name=_BUDGET)


class RuntimeSettings:
    """The runtime settings of a process that follows the control topic.

    Args:
        budget: The process's own.
        on_change: Called when another value holds.
    """

    def __init__(
        self, budget: BudgetSettings, *, on_change: Callable[[], None] | None = None
    ) -> None:
        self._settings = ControlledSettings(budget)
        self._budgets = budgets_of(budget)
        self._on_change = on_change

    @property
    def budgets(self) -> Budgets:
        """The limits in force; the same object until one changes."""
        return self._budgets

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Follow one record of the topic; one that cannot be used is logged and changes nothing."""
        name = name_in(key)
        try:
            has_changed = self._settings.take(key, value)
        except SettingsError as error:
            _log.warning("runtime_setting_ignored", setting=name, why=str(error))
            return
        if not has_changed:
            return
        change = self._settings.changes.get(name)
        self._budgets = budgets_of(self._settings.budget)
        _log.info("runtime_setting_changed", setting=name, changed_by=change and change.changed_by)
        if self._on_change is not None:
            self._on_change()


def follow_control(
    options: Mapping[str, Any], topics: TopicCatalog, runtime: RuntimeSettings
) -> CompactedTopic:
    """Let settings follow the control topic, once the topic is followed."""
    return CompactedTopic(
        options,
        topics.on_broker(TopicName.CONTROL),
        lambda record: runtime.take(record.key, record.value),
    )


def name_in(key: bytes | None) -> str:
    """Give the setting that a record of the control topic is about."""
    return (key or b"").decode(errors="replace")


def _read(name: str, value: bytes) -> LLMControlV1:
    require_runtime(name)
    try:
        change = _Change.model_validate_json(value).data
    except ValidationError as error:
        faults = sorted({".".join(map(str, fault["loc"])) for fault in error.errors()})
        raise SettingsError(
            f"{name} has a record that cannot be read ({', '.join(faults) or 'no JSON'}): "
            f"set it again with `llm-worker config set`"
        ) from None
    if change.setting != name:
        raise SettingsError(f"{name} is the key of a record that sets {change.setting}")
    return change


def _field(name: str) -> str:
    return name.removeprefix(f"{_BUDGET}.")
