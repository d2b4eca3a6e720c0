from __future__ import annotations

from llm_worker.contracts.events import LLMControlV1
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.control_events import control_event
from tests.support.builders import NOW


def _change(setting: str, value: object) -> LLMControlV1:
    return LLMControlV1(setting=setting, value=value, changed_by="ops", changed_at=NOW)


def test_change_is_told_under_its_settings_name_as_of_when_it_was_made() -> None:
    change = _change("routing.strategy", "priority")
    event = control_event(change)
    assert (event.topic, event.key) == (TopicName.CONTROL, "routing.strategy")
    assert (event.data, event.timestamp, event.trace) == (change, NOW, {})


def test_each_change_has_an_id_of_its_own_and_those_of_one_setting_belong_together() -> None:
    one, same, other = (
        control_event(_change(*change)) for change in (("a", 1), ("a", 1), ("b", 1))
    )
    assert len({one.event_id, same.event_id, other.event_id}) == 3
    assert one.correlation_id == same.correlation_id != other.correlation_id
