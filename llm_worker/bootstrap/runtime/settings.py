"""What the control topic sets, laid over the settings that a process has of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog

from llm_worker.adapters.telemetry.logging import set_log_level
from llm_worker.bootstrap.runtime.budgets import budgets_of
from llm_worker.bootstrap.runtime.control_records import change_in, name_in
from llm_worker.client.compacted import CompactedTopic
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.compatible import holding_together
from llm_worker.settings import (
    SettingsError,
    as_json,
    overlaid,
    parsed,
    require_runtime,
    runtime_variables,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from llm_worker.contracts.events import LLMControlV1
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.budgets import Budgets
    from llm_worker.settings import Settings

    Checks = Callable[[Settings, Collection[str]], Iterable[str]]

_log = structlog.get_logger(__name__)


def runtime_names() -> tuple[str, ...]:
    """Name the settings that can be changed while the processes run."""
    return tuple(runtime_variables())


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


def no_checks(_settings: Settings, _changed: Collection[str]) -> Iterable[str]:
    """Find no fault: each setting is right by itself."""
    return ()


class ControlledSettings:
    """The settings in force, from this process's own and the records of the control topic.

    Of each setting the last record counts that has a value for it. What holds follows from these
    records alone, not from what held before them: a process that starts later has the same settings
    as one that has followed all the time, unless compaction has left it a record of no use alone.

    Args:
        own: The process's own.
        checks: Gives what is wrong with settings that are right each for itself, a line each, by
            all settings and the names of those that the topic changes. Of changes that do not go
            together the older ones hold; the others are `ignored` until they can be honoured.
    """

    def __init__(self, own: Settings, *, checks: Checks = no_checks) -> None:
        self._own = own
        self._checks = checks
        self._changes: dict[str, LLMControlV1] = {}
        self._values: dict[str, Any] = {}
        self._settings = own
        self._ignored: dict[str, str] = {}

    @property
    def settings(self) -> Settings:
        """All settings, as they hold now."""
        return self._settings

    @property
    def changes(self) -> Mapping[str, LLMControlV1]:
        """What the control topic sets, by name, from the oldest to the newest."""
        return self._changes

    @property
    def ignored(self) -> Mapping[str, str]:
        """Which of the changes do not hold here, and why."""
        return self._ignored

    def take(self, key: bytes | None, value: bytes | None) -> bool:
        """Read one record of the topic; True: something has changed.

        Raises:
            SettingsError: It sets nothing that can be set, or not to that; all is as it was.
        """
        name, before = name_in(key), self._settings
        change = None if value is None else change_in(name, value)
        values = self._without(name)
        if change is not None:
            values[name] = parsed(name, change.value)
        self._changes.pop(name, None)
        if change is not None:
            self._changes[name] = change
        self._values = values
        self._settings, self._ignored = self._resolved(values)
        return self._settings != before

    def checked(self, name: str, value: object) -> Any:  # noqa: ANN401 - as each setting is
        """Give a value in the setting's own type, as it goes into the control topic.

        Raises:
            SettingsError: It is no runtime setting, this is no value for it, or it does not go
                together with the others.
        """
        given = parsed(name, value)
        self._require_held(name, {**self._without(name), name: given})
        return as_json(name, given)

    def check_unset(self, name: str) -> None:
        """Check that a setting may have this process's own value again.

        Raises:
            SettingsError: It is no runtime setting, or the others do not go together without it.
        """
        require_runtime(name)
        self._require_held(name, self._without(name))

    def in_force(self) -> list[SettingInForce]:
        """Give every runtime setting, in the order of the settings' page."""
        return [self.of(name) for name in runtime_variables()]

    def of(self, name: str) -> SettingInForce:
        """Give one setting.

        Raises:
            SettingsError: It is no runtime setting.
        """
        require_runtime(name)
        source = self._source(name)
        return SettingInForce(
            name=name,
            value=as_json(name, value_of(self._settings, name)),
            source=source,
            change=self._changes[name] if source is Source.CONTROL else None,
        )

    def _source(self, name: str) -> Source:
        if name in self._changes and name not in self._ignored:
            return Source.CONTROL
        group, _, field = name.rpartition(".")
        given = value_of(self._own, group) if group else self._own
        return Source.ENVIRONMENT if field in given.model_fields_set else Source.DEFAULT

    def _without(self, name: str) -> dict[str, Any]:
        return {each: value for each, value in self._values.items() if each != name}

    def _require_held(self, name: str, values: Mapping[str, Any]) -> None:
        _, ignored = self._resolved(values)
        for each, why in ignored.items():
            if each == name:
                raise SettingsError(f"{name} cannot be changed so: {why}")
            if each not in self._ignored:
                raise SettingsError(f"{name} cannot be changed so, as long as {each} is: {why}")

    def _resolved(self, values: Mapping[str, Any]) -> tuple[Settings, dict[str, str]]:
        """Lay the values over our own settings, but for those that make a fault: why, by name."""
        held, ignored = holding_together(values, self._faults)
        return overlaid(self._own, held), ignored

    def _faults(self, values: Mapping[str, Any]) -> str:
        return "\n".join(self._checks(overlaid(self._own, values), values.keys()))


class RuntimeSettings:
    """The settings of a process that follows the control topic.

    Args:
        own: The process's own.
        checks: As `ControlledSettings` takes them.

    `budgets` and what is logged follow by themselves; `on_change` is called with all settings when
    one has another value.
    """

    def __init__(
        self,
        own: Settings,
        *,
        checks: Checks = no_checks,
        on_change: Callable[[Settings], None] | None = None,
    ) -> None:
        self.on_change = on_change
        self._controlled = ControlledSettings(own, checks=checks)
        self._budgets = budgets_of(own.budget)

    @property
    def controlled(self) -> ControlledSettings:
        """What can be changed, as it holds now."""
        return self._controlled

    @property
    def settings(self) -> Settings:
        """All settings, as they hold now."""
        return self._controlled.settings

    @property
    def budgets(self) -> Budgets:
        """The limits in force; the same object until one changes."""
        return self._budgets

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Follow one record of the topic; what of it cannot be used is logged and changes nothing.

        Raises:
            Exception: whatever `on_change` does.
        """
        name, before = name_in(key), self.settings
        known = {each: why for each, why in self._controlled.ignored.items() if each != name}
        try:
            has_changed = self._controlled.take(key, value)
        except SettingsError as error:
            _log.warning("runtime_setting_ignored", setting=name, why=str(error))
            return
        for each, why in self._controlled.ignored.items():
            if each not in known:
                _log.warning("runtime_setting_ignored", setting=each, why=why)
        if has_changed:
            self._tell(before)

    def _tell(self, before: Settings) -> None:
        for name in runtime_variables():
            given = value_of(self.settings, name)
            if given != value_of(before, name):
                who = self._controlled.of(name).change
                _log.info(
                    "runtime_setting_changed",
                    setting=name,
                    value=as_json(name, given),
                    changed_by=who and who.changed_by,
                )
        if self.settings.log.level != before.log.level:
            set_log_level(self.settings.log.level)
        if self.settings.budget != before.budget:
            self._budgets = budgets_of(self.settings.budget)
        if self.on_change is not None:
            self.on_change(self.settings)


def follow_control(
    options: Mapping[str, Any], topics: TopicCatalog, runtime: RuntimeSettings
) -> CompactedTopic:
    """Let settings follow the control topic, once the topic is followed."""
    return CompactedTopic(
        options,
        topics.on_broker(TopicName.CONTROL),
        lambda record: runtime.take(record.key, record.value),
    )
