"""Reading the records of the control topic."""

from __future__ import annotations

from pydantic import ValidationError

from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.events import LLMControlV1
from llm_worker.contracts.faults import fields_at_fault
from llm_worker.settings import SettingsError, require_runtime

_Change = EventEnvelope[LLMControlV1]


def name_in(key: bytes | None) -> str:
    """Give the setting that a record is about."""
    return (key or b"").decode(errors="replace")


def change_in(name: str, value: bytes) -> LLMControlV1:
    """Read the change of a setting; whether it has a value for it is not checked.

    Raises:
        SettingsError: It cannot be read, or not as one of this setting, which must be a runtime
            setting.
    """
    require_runtime(name)
    try:
        change = _Change.model_validate_json(value).data
    except ValidationError as error:
        raise SettingsError(
            f"{name} has a record that cannot be read ({fields_at_fault(error) or 'no JSON'}): "
            f"set it again with `llm-worker config set`"
        ) from None
    if change.setting != name:
        raise SettingsError(f"{name} is the key of a record that sets {change.setting}")
    return change
