"""Records of the control topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.contracts.events import LLMControlV1
from llm_worker.domain.control_events import control_event
from tests.support.builders import NOW, TOPICS

if TYPE_CHECKING:
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import Record


def change(
    name: str,
    value: Any,  # noqa: ANN401 - as the wire has it
    *,
    topics: TopicCatalog = TOPICS,
    **facts: Any,  # noqa: ANN401 - as the wire has it
) -> Record:
    """The record that sets a setting, whatever the value is."""
    said = {"changed_by": "ops", "changed_at": NOW, **facts}
    return EventRenderer(topics).render(
        control_event(LLMControlV1(setting=name, value=value, **said))
    )
