"""What is published when a runtime setting is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid4, uuid5

from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.event import Event

if TYPE_CHECKING:
    from llm_worker.contracts.events import LLMControlV1

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:llm-worker:control")


def control_event(change: LLMControlV1) -> Event:
    """Tell that a setting has another value; its key is the setting's name."""
    return Event(
        topic=TopicName.CONTROL,
        event_id=uuid4(),
        correlation_id=uuid5(_NAMESPACE, change.setting),
        timestamp=change.changed_at,
        data=change,
        trace={},
        key=change.setting,
    )
