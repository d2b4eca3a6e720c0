"""What the control topic sets, as a process follows it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from llm_worker.bootstrap import SettingsError, load_settings
from llm_worker.bootstrap.runtime.settings import (
    ControlledSettings,
    RuntimeSettings,
    Source,
    follow_control,
)
from llm_worker.domain.delivery import PlacedRecord
from tests.support.builders import NOW, TOPICS
from tests.support.control import change

if TYPE_CHECKING:
    from pathlib import Path

    from llm_worker.settings import Settings

DAILY = "budget.daily_usd"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def own(**given: str) -> Settings:
    names = {f"LLM_WORKER_BUDGET__{name.upper()}": value for name, value in given.items()}
    return load_settings(names)


class Followed:
    """Runtime settings, and how often they have told of a change."""

    def __init__(self, **given: str) -> None:
        self.told = 0
        self.settings = RuntimeSettings(own(**given), on_change=self._tell)

    def _tell(self, settings: Settings) -> None:
        assert settings is self.settings.settings
        self.told += 1

    def set(self, name: str, value: Any) -> None:  # noqa: ANN401 - as the wire has it
        record = change(name, value)
        self.settings.take(record.key, record.value)

    def take(self, name: str, value: bytes | None) -> None:
        self.settings.take(name.encode(), value)

    @property
    def daily_usd(self) -> Decimal | None:
        return self.settings.budgets.overall.daily_usd


def test_without_records_the_process_has_its_own_limits() -> None:
    assert Followed(daily_usd="5").daily_usd == 5


def test_record_comes_before_the_environment() -> None:
    followed = Followed(daily_usd="5", monthly_usd="50")

    followed.set(DAILY, "7.50")

    assert followed.daily_usd == Decimal("7.50")
    assert followed.settings.budgets.overall.monthly_usd == 50
    assert followed.told == 1


def test_last_record_of_a_setting_holds() -> None:
    followed = Followed()
    for value in ("1", "2", 3):
        followed.set(DAILY, value)

    assert (followed.daily_usd, followed.told) == (Decimal(3), 3)


def test_null_is_no_limit_and_a_tombstone_the_environments_again() -> None:
    followed = Followed(daily_usd="5")

    followed.set(DAILY, None)
    assert followed.daily_usd is None
    followed.take(DAILY, None)
    assert followed.daily_usd == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget.alert_shares", ["0.9"]),
        ("budget.alert_shares", "0.9"),
        ("budget.alert_shares", [0.9]),
    ],
)
def test_value_may_be_of_its_own_type_or_as_the_environment_has_it(name: str, value: Any) -> None:  # noqa: ANN401 - as the wire has it
    followed = Followed()

    followed.set(name, value)

    assert followed.settings.budgets.overall.alert_shares == (Decimal("0.9"),)


def test_whole_object_of_organisations_is_one_setting() -> None:
    followed = Followed(organizations='{"a": {"daily_usd": 1}}', hard="true")

    followed.set("budget.organizations", {"b": {"daily_usd": "2"}})

    [(name, allowance)] = followed.settings.budgets.organizations.items()
    assert (name, allowance.daily_usd, allowance.is_hard) == ("b", Decimal(2), True)


def _envelope(**data: Any) -> bytes:  # noqa: ANN401 - as the wire has it
    said = {"changed_by": "x", "changed_at": NOW.isoformat(), **data}
    return json.dumps(
        {
            "event_id": str(uuid4()),
            "event_type": "control",
            "event_timestamp": NOW.isoformat(),
            "source_service": "x",
            "correlation_id": str(uuid4()),
            "data": said,
        }
    ).encode()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (_envelope(setting=DAILY, value=-1), "LLM_WORKER_BUDGET__DAILY_USD: .* equal to 0"),
        (_envelope(setting=DAILY, value="a lot"), "is no plain decimal"),
        (_envelope(setting=DAILY, value={"a": 1}), "LLM_WORKER_BUDGET__DAILY_USD: "),
        (_envelope(setting="budget.hard", value=True), "key of a record that sets budget.hard"),
        (_envelope(setting=DAILY), r"cannot be read \(data.value\): set it again"),
        (b"no JSON", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_record_that_cannot_be_used_is_told_and_the_last_valid_value_stays(
    value: bytes, why: str
) -> None:
    followed = Followed(daily_usd="5")
    followed.set(DAILY, "7")
    followed.set("budget.hard", value=True)

    with capture_logs() as logs:
        followed.take(DAILY, value)

    assert (followed.daily_usd, followed.told) == (Decimal(7), 2)
    [log] = logs
    assert (log["event"], log["log_level"]) == ("runtime_setting_ignored", "warning")
    assert log["setting"] == DAILY
    with pytest.raises(SettingsError, match=why):
        ControlledSettings(own()).take(DAILY.encode(), value)


@pytest.mark.parametrize("name", ["budget.dayly_usd", "kafka.group", "openai", ""])
def test_unknown_and_fixed_settings_are_ignored(name: str) -> None:
    followed = Followed()

    with capture_logs() as logs:
        followed.set(name, "x")
        followed.take(name, None)

    assert [log["event"] for log in logs] == ["runtime_setting_ignored"]
    assert followed.told == 0


def test_record_without_a_key_is_ignored() -> None:
    followed = Followed()

    followed.settings.take(None, change(DAILY, "7").value)

    assert followed.daily_usd is None


def test_budgets_are_built_again_only_by_a_change() -> None:
    followed = Followed(daily_usd="5")
    before = followed.settings.budgets

    followed.set(DAILY, "5.00")
    followed.take("budget.hard", None)
    followed.take(DAILY, None)
    assert followed.settings.budgets is before
    assert followed.told == 0

    followed.set(DAILY, "6")
    assert followed.settings.budgets is not before


def test_reading_everything_again_ends_where_it_was() -> None:
    followed = Followed()
    for _ in range(2):
        followed.set(DAILY, "1")
        followed.set(DAILY, "2")
        followed.take("budget.hard", None)

    assert followed.daily_usd == 2


def test_change_is_logged_with_who_has_made_it() -> None:
    followed = Followed()

    with capture_logs() as logs:
        followed.set(DAILY, "7")
        followed.take(DAILY, None)

    assert [(log["event"], log["changed_by"]) for log in logs] == [
        ("runtime_setting_changed", "ops"),
        ("runtime_setting_changed", None),
    ]


def test_settings_in_force_say_where_they_are_from() -> None:
    controlled = ControlledSettings(own(daily_usd="5", hard="true"))
    record = change(DAILY, "7", reason="exam week")
    controlled.take(record.key, record.value)

    in_force = {each.name: each for each in controlled.in_force()}

    daily = in_force[DAILY]
    assert (daily.value, daily.source) == ("7", Source.CONTROL)
    assert daily.change is not None
    assert daily.change.reason == "exam week"
    assert (in_force["budget.hard"].value, in_force["budget.hard"].source) == (
        True,
        Source.ENVIRONMENT,
    )
    assert in_force["budget.monthly_usd"].source is Source.DEFAULT


def test_checked_value_is_in_the_settings_own_type() -> None:
    controlled = ControlledSettings(own())

    assert controlled.checked(DAILY, "7.50") == "7.50"
    assert controlled.checked(DAILY, "") is None
    assert controlled.checked("budget.hard", "yes") is True
    assert controlled.checked("budget.alert_shares", "0.5,1") == ["0.5", "1"]
    with pytest.raises(SettingsError, match=r"did you mean budget\.hard\?"):
        controlled.checked("budget.hart", "yes")
    with pytest.raises(SettingsError, match="is no plain decimal"):
        controlled.checked(DAILY, "much")


def test_record_of_a_change_is_keyed_by_its_setting() -> None:
    one, other = change(DAILY, "7"), change(DAILY, "8")

    assert one.topic == "huleedu.llm_provider.control.v1"
    assert one.key == DAILY.encode()
    envelopes = [json.loads(record.value or b"") for record in (one, other)]
    assert {each["event_type"] for each in envelopes} == {"huleedu.llm_provider.control.v1"}
    assert len({each["correlation_id"] for each in envelopes}) == 1
    assert len({each["event_id"] for each in envelopes}) == 2


def test_topic_that_is_followed_feeds_the_settings() -> None:
    followed = Followed()

    topic = follow_control({}, TOPICS, followed.settings)

    record = change(DAILY, "7")
    topic._take(
        PlacedRecord(
            topic=record.topic,
            partition=0,
            offset=0,
            at_ms=0,
            key=record.key,
            value=record.value,
            headers=(),
        )
    )
    assert followed.daily_usd == 7
