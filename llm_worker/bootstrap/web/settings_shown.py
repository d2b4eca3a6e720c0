"""The settings that are not as by default, as the health page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.contracts.state import SettingState
from llm_worker.settings import differing, masked

if TYPE_CHECKING:
    from llm_worker.bootstrap.runtime.settings import ControlledSettings


def settings_shown(controlled: ControlledSettings) -> tuple[SettingState, ...]:
    """Describe, by name, what was set: by the environment, or over it by the control topic."""
    changes = {
        name: change
        for name, change in controlled.changes.items()
        if name not in controlled.ignored
    }
    values = {name: masked(controlled.of(name).value) for name in changes}
    values |= differing(controlled.settings)
    return tuple(
        SettingState(
            name=name,
            value=value,
            source="control" if name in changes else "environment",
            changed_by=changes[name].changed_by if name in changes else None,
            changed_at=changes[name].changed_at if name in changes else None,
            reason=changes[name].reason if name in changes else None,
        )
        for name, value in sorted(values.items())
    )
