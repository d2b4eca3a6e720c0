"""Changes that do not go together, or not with what a worker has: refused, or held back."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from structlog.testing import capture_logs

from llm_worker.bootstrap import SettingsError, load_settings
from llm_worker.bootstrap.providers.retries import changed_backoff_faults
from llm_worker.bootstrap.providers.routing import routing_of, runtime_checks
from llm_worker.bootstrap.runtime.settings import ControlledSettings, RuntimeSettings, Source
from llm_worker.settings import overlaid, parsed, value_of
from tests.support.control import change
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from llm_worker.settings import Settings

    Change = tuple[str, Any]

_TWO = {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o"}
_ONE_OF_TWO = _TWO | {"LLM_WORKER_PROVIDERS__OPENAI__ENABLED": "false"}
_ANTHROPIC, _OPENAI = "providers.anthropic.enabled", "providers.openai.enabled"
_GOOGLE, _MOCK = "providers.google.enabled", "providers.mock.enabled"
_BACKOFF, _BACKOFF_MAX = "retry.backoff_s", "retry.backoff_max_s"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class _Own:
    """A worker's own settings, and its check, which looks at prices only once."""

    def __init__(self, **given: str) -> None:
        self._given = given
        self.checks = runtime_checks(ManualClock())

    @cached_property
    def settings(self) -> Settings:
        return load_settings(self._given)


def worker(
    given: dict[str, str] | None = None, changes: Iterable[Change] = ()
) -> ControlledSettings:
    """The settings of a worker that has read these changes."""
    controlled = ControlledSettings(
        load_settings(given or _TWO), checks=runtime_checks(ManualClock())
    )
    for name, value in changes:
        record = change(name, value)
        controlled.take(record.key, record.value)
    return controlled


def refusal(controlled: ControlledSettings, name: str, value: object) -> str:
    before = controlled.in_force()
    with pytest.raises(SettingsError) as caught:
        controlled.checked(name, value)
    assert controlled.in_force() == before
    return str(caught.value)


def test_backoff_may_not_be_more_than_its_maximum() -> None:
    assert "LLM_WORKER_RETRY__BACKOFF_S is more than" in refusal(worker(), _BACKOFF, 21)
    assert worker(changes=[(_BACKOFF_MAX, 60)]).checked(_BACKOFF, 21) == 21
    assert "raise the second" in refusal(worker(changes=[(_BACKOFF, 10)]), _BACKOFF_MAX, 9)


@pytest.mark.parametrize(
    ("given", "changes", "name", "value", "why"),
    [
        (_TWO, [(_ANTHROPIC, False)], _OPENAI, False, "no provider is enabled: set one's key"),
        (_TWO, [], _GOOGLE, True, "google cannot be enabled: set .*__GOOGLE__API_KEY"),
        (
            _TWO | {"LLM_WORKER_PROVIDERS__GOOGLE__ENABLED": "true"},
            [],
            _GOOGLE,
            True,
            "google cannot be enabled: set .*__GOOGLE__API_KEY",
        ),
        (
            _TWO,
            [],
            "providers.self_hosted.enabled",
            True,
            "SELF_HOSTED__BASE_URL and LLM_WORKER_PROVIDERS__SELF_HOSTED__DEFAULT_MODEL",
        ),
        (
            _TWO
            | {
                "LLM_WORKER_ROUTING__DEFAULT_PROVIDER": "openai",
                "LLM_WORKER_ROUTING__FALLBACK": "",
            },
            [],
            _OPENAI,
            False,
            "by default nobody would be asked: enable another provider first",
        ),
        (
            _TWO | {"LLM_WORKER_ROUTING__RULES": '[{"targets": ["openai"]}]'},
            [],
            _OPENAI,
            False,
            "LLM_WORKER_ROUTING__RULES, rule 1: nobody of its targets would be left",
        ),
        (
            _ONE_OF_TWO | {"LLM_WORKER_PROVIDERS__OPENAI__DEFAULT_MODEL": "gpt-none"},
            [],
            _OPENAI,
            True,
            "__DEFAULT_MODEL: gpt-none is no model of openai",
        ),
        (
            _ONE_OF_TWO | {"LLM_WORKER_PROVIDERS__OPENAI__TIMEOUT_S": "90"},
            [],
            _OPENAI,
            True,
            "__TIMEOUT_S must be less than LLM_WORKER_DRAIN_S",
        ),
        (
            _TWO | {"USE_MOCK_LLM": "true"},
            [],
            _OPENAI,
            True,
            "openai cannot be enabled: unset LLM_WORKER_USE_MOCK_LLM",
        ),
        ({"USE_MOCK_LLM": "true"}, [], _MOCK, False, "mock stands in for every provider: unset"),
    ],
)
def test_switch_of_a_provider_that_the_worker_cannot_follow_is_refused_with_the_reason(
    given: dict[str, str], changes: list[Change], name: str, value: object, why: str
) -> None:
    said = refusal(worker(given, changes), name, value)

    assert said.startswith(f"{name} cannot be changed so: ")
    assert re.search(why, said)


def test_providers_can_be_switched_within_what_is_configured() -> None:
    controlled = worker(_ONE_OF_TWO)

    assert controlled.checked(_OPENAI, "true") is True
    assert controlled.checked(_MOCK, value=True) is True
    assert controlled.checked(_GOOGLE, "false") is False
    assert worker().checked(_OPENAI, value=False) is False
    assert worker().checked(_OPENAI, "") is None


def test_provider_that_is_switched_off_is_left_out_wherever_it_is_named() -> None:
    named = {
        "LLM_WORKER_ROUTING__DEFAULT_PROVIDER": "openai",
        "LLM_WORKER_ROUTING__FALLBACK": "openai/gpt-5.4, anthropic",
        "LLM_WORKER_ROUTING__RULES": '[{"targets": ["openai", "anthropic"]}]',
    }
    controlled = worker(_TWO | named, [(_OPENAI, False)])
    assert not controlled.ignored

    routing = routing_of(controlled.settings)

    assert [place.provider for place in routing.places] == ["anthropic"]
    assert [place.provider for place in routing.rules[0].places] == ["anthropic"]


def test_change_may_not_take_away_what_another_needs() -> None:
    controlled = worker(_ONE_OF_TWO, [(_OPENAI, True), (_ANTHROPIC, False)])

    assert refusal(controlled, _OPENAI, value=False).startswith(f"{_OPENAI} cannot be changed so")
    with pytest.raises(SettingsError, match=f"as long as {_ANTHROPIC} is: no provider is enabled"):
        controlled.check_unset(_OPENAI)
    controlled.check_unset(_ANTHROPIC)
    with pytest.raises(SettingsError, match="is no runtime setting"):
        controlled.check_unset("openai")


def test_change_that_cannot_be_honoured_is_told_and_the_rest_holds() -> None:
    runtime = RuntimeSettings(load_settings(_TWO), checks=runtime_checks(ManualClock()))
    with capture_logs() as logs:
        for name, value in [(_GOOGLE, True), ("retry.attempts", 7)]:
            record = change(name, value)
            runtime.take(record.key, record.value)

    assert [(log["event"], log["setting"]) for log in logs] == [
        ("runtime_setting_ignored", _GOOGLE),
        ("runtime_setting_changed", "retry.attempts"),
    ]
    assert "GOOGLE__API_KEY" in logs[0]["why"]
    assert (logs[1]["value"], logs[1]["changed_by"]) == (7, "ops")
    assert runtime.settings.providers.google.enabled is None
    assert runtime.controlled.ignored.keys() == {_GOOGLE}
    google = runtime.controlled.of(_GOOGLE)
    assert (google.value, google.source, google.change) == (None, Source.DEFAULT, None)


def test_change_that_was_held_back_holds_once_it_can() -> None:
    runtime = RuntimeSettings(load_settings(_ONE_OF_TWO), checks=runtime_checks(ManualClock()))
    with capture_logs() as logs:
        for name, value in [(_ANTHROPIC, False), (_OPENAI, True)]:
            record = change(name, value)
            runtime.take(record.key, record.value)

    assert [(log["event"], log["setting"]) for log in logs] == [
        ("runtime_setting_ignored", _ANTHROPIC),
        ("runtime_setting_changed", _ANTHROPIC),
        ("runtime_setting_changed", _OPENAI),
    ]
    assert not runtime.controlled.ignored


def test_change_that_is_no_longer_honoured_is_told() -> None:
    runtime = RuntimeSettings(load_settings(_ONE_OF_TWO), checks=runtime_checks(ManualClock()))
    for name, value in [(_OPENAI, True), (_ANTHROPIC, False)]:
        record = change(name, value)
        runtime.take(record.key, record.value)
    with capture_logs() as logs:
        runtime.take(_OPENAI.encode(), None)

    assert [(log["event"], log["setting"]) for log in logs[:1]] == [
        ("runtime_setting_ignored", _ANTHROPIC)
    ]
    assert value_of(runtime.settings, _ANTHROPIC) is None


def test_of_changes_that_exclude_each_other_the_older_holds() -> None:
    for first, second in ((_ANTHROPIC, _OPENAI), (_OPENAI, _ANTHROPIC)):
        controlled = worker(changes=[(first, False), (second, False)])
        assert (controlled.of(first).value, controlled.of(second).value) == (False, None)


def test_change_that_needs_a_later_one_holds_beside_one_that_never_can() -> None:
    controlled = worker(_ONE_OF_TWO, [(_ANTHROPIC, False), (_GOOGLE, True), (_OPENAI, True)])

    assert controlled.ignored.keys() == {_GOOGLE}
    assert "no provider" not in controlled.ignored[_GOOGLE]
    assert controlled.of(_ANTHROPIC).value is False


def test_change_set_again_counts_as_the_newest() -> None:
    controlled = worker(changes=[(_OPENAI, False), (_ANTHROPIC, False), (_OPENAI, False)])
    assert list(controlled.changes) == [_ANTHROPIC, _OPENAI]
    assert controlled.ignored.keys() == {_OPENAI}


def test_command_without_keys_checks_the_retries_alone() -> None:
    controlled = ControlledSettings(
        load_settings({"LLM_WORKER_RETRY__BACKOFF_S": "30"}), checks=changed_backoff_faults
    )
    assert controlled.checked(_OPENAI, value=True) is True
    assert controlled.checked("max_in_flight", "10") == 10
    assert "raise the second" in refusal(controlled, _BACKOFF, 25)
    assert controlled.checked(_BACKOFF, 20) == 20


_GOOD: dict[str, list[Any]] = {
    _ANTHROPIC: [True, False, None],
    _OPENAI: [True, False, None],
    _GOOGLE: [True, False],
    _MOCK: [True, False],
    _BACKOFF: [0.1, 5, "30"],
    _BACKOFF_MAX: [0.2, 10, "60"],
    "routing.strategy": ["round_robin", "priority"],
    "max_in_flight": [2, "40"],
    "log.level": ["INFO"],
    "budget.daily_usd": ["7.50", 3, None],
}
_BAD: list[Any] = ["x", -1, {"a": 1}, [True]]
_Record = tuple[str, bytes | None]


def _record(name: str, value: Any) -> _Record:  # noqa: ANN401 - as the wire has it
    return name, change(name, value).value


_records = st.sampled_from(sorted(_GOOD)).flatmap(
    lambda name: st.one_of(
        st.sampled_from(_GOOD[name]).map(lambda value: _record(name, value)),
        st.sampled_from(_BAD).map(lambda value: _record(name, value)),
        st.sampled_from([b"", b"{}", b"no JSON"]).map(lambda value: (name, value)),
        st.just((name, None)),
    )
) | st.just(_record("budget.retired", 1))
_OWNS = [
    _Own(**given)
    for given in (
        _TWO,
        _ONE_OF_TWO,
        _TWO | {"LLM_WORKER_ROUTING__FALLBACK": "openai"},
        _TWO | {"LLM_WORKER_RETRY__BACKOFF_S": "15"},
    )
]


def _last_valid(records: list[_Record]) -> list[_Record]:
    """What a compacted topic would hold, had nobody written what is no value."""
    held: dict[str, bytes | None] = {}
    for name, value in records:
        if value is None:
            held.pop(name, None)
        elif _given(name, value) is not None:
            held.pop(name, None)
            held[name] = value
    return list(held.items())


def _given(name: str, value: bytes) -> tuple[Any] | None:
    try:
        return (parsed(name, json.loads(value)["data"]["value"]),)
    except (SettingsError, ValueError, KeyError):
        return None


def _after(own: _Own, records: list[_Record]) -> ControlledSettings:
    controlled = ControlledSettings(own.settings, checks=own.checks)
    for name, value in records:
        try:
            controlled.take(name.encode(), value)
        except SettingsError:
            continue
    return controlled


@examples(max_examples=100, deadline=None)
@given(own=st.sampled_from(_OWNS), records=st.lists(_records, max_size=12))
def test_any_records_end_in_what_the_last_valid_ones_of_each_setting_give(
    own: _Own, records: list[_Record]
) -> None:
    settings, left = own.settings, _last_valid(records)

    followed, restarted = _after(own, records), _after(own, left)

    assert followed.settings == restarted.settings
    assert followed.ignored == restarted.ignored
    assert list(followed.changes) == list(restarted.changes) == [name for name, _ in left]
    values = {name: (_given(name, value) or ("",))[0] for name, value in left if value}
    held = {name: value for name, value in values.items() if name not in followed.ignored}
    assert followed.settings == overlaid(settings, held)
    assert not list(own.checks(followed.settings, held))
    for name in followed.ignored:
        together = {**held, name: values[name]}
        assert list(own.checks(overlaid(settings, together), together))


@examples(max_examples=100, deadline=None)
@given(
    own=st.sampled_from(_OWNS),
    records=st.lists(_records, max_size=8),
    wanted=st.sampled_from([(name, value) for name in _GOOD for value in _GOOD[name]]),
)
def test_what_is_found_right_holds_once_it_is_written(
    own: _Own, records: list[_Record], wanted: Change
) -> None:
    controlled, (name, value) = _after(own, records), wanted
    try:
        checked = controlled.checked(name, value)
    except SettingsError:
        return
    again = _after(own, [*records, _record(name, checked)])
    assert again.of(name).value == checked
    assert again.of(name).source is Source.CONTROL
    assert again.ignored.keys() <= controlled.ignored.keys()
