"""`llm-worker usage` over topics in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.application import verifying
from llm_worker.bootstrap.spend import lag as spend_lag
from llm_worker.bootstrap.spend import reading as spend
from llm_worker.bootstrap.spend.lag import SpendLag
from llm_worker.cli import control_topic
from llm_worker.cli.app import FAILED, WRONG_USE, cli
from llm_worker.cli.doctor.kafka import lag_finding
from llm_worker.cli.findings import Level
from llm_worker.cli.usage import command as usage_command
from llm_worker.contracts.events import LLMControlV1
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.control_events import control_event
from llm_worker.domain.delivery import PlacedRecord
from llm_worker.domain.spend import EVERYTHING, SOURCES, AccountKey, month_of
from tests.support.builders import NOW, TOPICS
from tests.support.environment import forget_settings
from tests.support.fakes import ManualClock
from tests.support.spend import COSTS, DAY, NOW_MS, REQUESTS, completion_value, cost_of, record_of
from tests.support.usage import state_records, totals_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable
    from pathlib import Path

    from click.testing import Result

    from llm_worker.domain.delivery import Record
    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import Source

_MINUTE_MS = 60_000
_DAY_MS = 86_400_000


class Topics:
    """What the client reads, on lists."""

    def __init__(self) -> None:
        self.records: dict[str, list[PlacedRecord]] = {}

    def add(self, source: Source, *values: bytes, at_ms: int = NOW_MS) -> None:
        held = self.records.setdefault(TOPICS.on_broker(source.topic), [])
        for offset, value in enumerate(values, len(held)):
            held.append(record_of(value, offset, source=source, at_ms=at_ms))

    def publish(self, records: Iterable[Record], *, at_ms: int = NOW_MS) -> None:
        for record in records:
            held = self.records.setdefault(record.topic, [])
            held.append(
                PlacedRecord(
                    topic=record.topic,
                    partition=0,
                    offset=len(held),
                    at_ms=at_ms,
                    key=record.key,
                    value=record.value,
                    headers=(),
                )
            )

    def events(self) -> list[PlacedRecord]:
        return [each for name in SOURCES for each in self.records.get(TOPICS.on_broker(name), [])]

    def add_up(self, **changes: Any) -> dict[AccountKey, Account]:  # noqa: ANN401 - any field of it
        """Publish the totals; `changes` are of today's total of all costs."""
        totals = totals_of(self.events(), TOPICS)
        if changes:
            key = AccountKey(EVERYTHING, DAY, COSTS)
            totals[key] = replace(totals[key], **changes)
        self.publish(state_records(totals, TOPICS))
        return totals

    async def read_to_end(
        self, _kafka: object, topics: Collection[str], *, since_ms: int | None = None
    ) -> AsyncIterator[PlacedRecord]:
        for topic in topics:
            for record in self.records.get(topic, []):
                if since_ms is None or record.at_ms >= since_ms:
                    yield record

    async def read_last(
        self, _kafka: object, topic: str, *, at_most: int
    ) -> AsyncIterator[PlacedRecord]:
        for record in self.records.get(topic, [])[-at_most:]:
            yield record


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(usage_command, "SystemClock", lambda: ManualClock(NOW))
    monkeypatch.setattr(verifying, "_PAUSE_S", 0)


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    topics = Topics()
    monkeypatch.setattr(spend, "read_to_end", topics.read_to_end)
    monkeypatch.setattr(spend, "read_last", topics.read_last)
    monkeypatch.setattr(control_topic, "read_to_end", topics.read_to_end)
    monkeypatch.setattr(spend_lag, "read_last", topics.read_last)
    return topics


@pytest.fixture
def some(topics: Topics) -> Topics:
    """A school's purchase, nobody's of unknown cost, a cache hit, the month before."""
    topics.add(
        COSTS,
        cost_of(usd=0.000_000_25, token_usage={"prompt_tokens": 5, "total_tokens": 7}),
        cost_of(usd=None, organization_id=None, provider="google", model="gemini"),
        cost_of(usd=0, cached=True, outcome="cached", cache_cost_savings_usd=0.5),
        cost_of(usd=2.5, at="2026-10-31T23:59:59Z", organization_id="college"),
    )
    topics.add(
        REQUESTS,
        completion_value(),
        completion_value(success=False, provider="google", metadata={"model": "gemini"}),
    )
    return topics


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["usage", *words])


def shown(*words: str) -> str:
    found = run(*words)
    assert (found.exit_code, found.stderr) == (0, ""), found.output
    return found.stdout


def document(*words: str) -> list[dict[str, Any]]:
    periods: list[dict[str, Any]] = json.loads(shown("--json", *words))["periods"]
    return periods


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_today_and_month_are_shown_with_every_number(some: Topics) -> None:
    some.add_up()

    today, month = shown().split("\n\n")

    title, head, *rows = today.splitlines()
    assert title == f"{DAY}, UTC"
    assert cells(head) == [
        *("provider", "model", "requests", "failures", "cache hits", "tokens"),
        *("cost USD", "+ unknown", "saved USD"),
    ]
    assert list(map(cells, rows)) == [
        ["openai", "gpt-5", "1", "0", "1", "7", "0.00000025", "0", "0.5"],
        ["google", "gemini", "1", "1", "0", "unknown", "unknown", "1", "0"],
        ["total", "2", "1", "1", "7", "0.00000025", "1", "0.5"],
    ]
    assert month.splitlines()[0] == "2026-11, UTC"


def test_program_gets_the_same_with_money_as_text(some: Topics) -> None:
    some.add_up()

    today, month = document("--by", "provider")

    assert (today["period"], month["period"]) == (DAY, "2026-11")
    assert [group["provider"] for group in today["groups"]] == ["openai", "google"]
    assert today["groups"] == month["groups"]
    assert today["total"] == {
        "requests": 2,
        "failures": 1,
        "cache_hits": 1,
        "tokens": {"prompt_tokens": 5, "total_tokens": 7},
        "cost_usd": "0.00000025",
        "unknown_costs": 1,
        "savings_usd": "0.5",
    }
    assert today["limits"] == []


def test_organisation_without_a_name_is_said_to_be_none(some: Topics) -> None:
    some.add_up()

    rows = shown("--by", "organization,lane", "--period", "today").splitlines()[2:]

    assert [cells(row)[:2] for row in rows[:-1]] == [
        ["school", "normal"],
        ["(none)", "(none)"],
        ["(none)", "normal"],
    ]
    groups = document("--by", "organization", "--period", "today")[0]["groups"]
    assert [group["organization"] for group in groups] == ["school", ""]


def test_period_of_long_ago_is_still_there(topics: Topics) -> None:
    for usd, day in enumerate(("2025-02-28", "2026-09-20", "2026-10-31", DAY), 3):
        topics.add(COSTS, cost_of(usd=usd, at=f"{day}T12:00:00Z"))
    totals = totals_of(topics.events(), TOPICS)
    for month in sorted({month_of(key.period) for key in totals}):
        of_month = {key: each for key, each in totals.items() if month_of(key.period) == month}
        written_at = datetime.fromisoformat(f"{month}-28T12:00:00Z")
        topics.publish(state_records(of_month, TOPICS), at_ms=int(written_at.timestamp() * 1000))
    asked = ("2025-02", "2026-09", "2026-10-31", "2026-10", "2026-11")

    found = document(*(word for period in asked for word in ("--period", period)))

    assert [(each["period"], each["total"]["cost_usd"]) for each in found] == [
        ("2025-02", "3"),
        ("2026-09", "4"),
        ("2026-10-31", "5"),
        ("2026-10", "5"),
        ("2026-11", "6"),
    ]


def test_period_without_events_is_said_to_be_empty(some: Topics) -> None:
    some.add_up()

    assert shown("--period", "2026-09") == "2026-09, UTC: nothing\n"
    [september] = document("--period", "2026-09")
    assert (september["groups"], september["total"]["requests"]) == ([], 0)


def test_limits_are_shown_with_the_share_that_is_spent(
    some: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_WORKER_BUDGET__DAILY_USD", "7")
    monkeypatch.setenv("LLM_WORKER_BUDGET__MONTHLY_USD", "10")
    monkeypatch.setenv(
        "LLM_WORKER_BUDGET__ORGANIZATIONS",
        '{"*": {"monthly_usd": "4", "hard": true}, "idle": {"monthly_usd": "0"}}',
    )
    some.add_up()

    *_, head, first, second, third = shown("--period", "2026-10").splitlines()

    assert cells(head) == ["limit on", "USD", "cost USD", "share"]
    assert cells(first) == ["all", "10", "2.5", "25.0%"]
    assert cells(second) == ["organization college", "4", "2.5", "62.5%", "hard"]
    assert cells(third) == ["organization idle", "0", "0", "-"]
    assert document("--period", "2026-10")[0]["limits"][1] == {
        "organization": "college",
        "provider": None,
        "limit_usd": "4",
        "hard": True,
        "cost_usd": "2.5",
        "unknown_costs": 0,
        "share": 0.625,
    }


def test_share_with_unknown_costs_is_a_lower_bound(
    some: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_WORKER_BUDGET__DAILY_USD", "1")
    monkeypatch.setenv("LLM_WORKER_BUDGET__PROVIDERS", '{"google": {"daily_usd": "2"}}')
    some.add_up()

    everything, google = shown("--period", "today").splitlines()[-2:]

    assert cells(everything)[-1] == "at least 0.0%"
    assert cells(google) == ["provider google", "2", "unknown", "at least 0.0%"]


def test_limit_that_was_changed_at_run_time_is_the_one_that_counts(
    some: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_WORKER_BUDGET__MONTHLY_USD", "10")
    change = LLMControlV1(
        setting="budget.monthly_usd", value="5", changed_by="test", changed_at=NOW
    )
    some.publish([EventRenderer(TOPICS).render(control_event(change))])
    some.add_up()

    [october] = document("--period", "2026-10")

    assert [(each["limit_usd"], each["share"]) for each in october["limits"]] == [("5", 0.5)]


def test_name_that_others_wrote_cannot_paint(topics: Topics) -> None:
    topics.add(COSTS, cost_of(organization_id="[red]\x1b[2Jx"))
    topics.add_up()

    assert "[red]?[2Jx" in shown("--by", "organization")


@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize("words", [[], ["--verify"]], ids=" ".join)
def test_nothing_added_up_yet_is_said_with_who_does_it(words: list[str]) -> None:
    found = run(*words)

    assert (found.exit_code, found.stdout) == (0, "")
    assert "nothing was added up yet" in found.stderr
    assert "`llm-worker accountant`" in found.stderr


@pytest.mark.usefixtures("topics")
def test_program_gets_zeros_where_nothing_was_added_up() -> None:
    found = json.loads(run("--json").stdout)

    assert found["by"] == ["provider", "model"]
    assert [each["groups"] for each in found["periods"]] == [[], []]
    assert json.loads(run("--json", "--verify").stdout) == {
        "totals": 0,
        "unchecked": 0,
        "drifts": [],
    }


def test_totals_that_stay_behind_are_said_to_be_old(some: Topics) -> None:
    some.add_up()
    some.add(COSTS, cost_of(), at_ms=NOW_MS + 4 * _MINUTE_MS)
    assert shown()
    some.add(COSTS, cost_of(), at_ms=NOW_MS + 6 * _MINUTE_MS)

    found = run()

    assert found.exit_code == 0
    assert found.stderr == (
        "the newest total is of 2026-11-23 10:00Z, the newest event of 2026-11-23 10:06Z: "
        "see whether `llm-worker accountant` runs\n"
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--by", "colour"], "'colour' is not some of provider, model, organization, lane"),
        (["--by", ""], "'' is not some of provider"),
        (["--by", "provider,provider"], "each once"),
        (["--period", "yesterday"], "none of today, month, a day like 2026-11-23, a month like"),
        (["--period", "2026-13"], "'2026-13' is none of today"),
        (["--period", "2026-02-30"], "'2026-02-30' is none of today"),
        (["--period", "20261123"], "'20261123' is none of today"),
        (["--period", "2026-W1"], "'2026-W1' is none of today"),
        (["--verify", "--by", "model"], "leave --by and --period out"),
        (["--verify", "--period", "today"], "leave --by and --period out"),
    ],
)
def test_wrong_use_is_told_before_a_broker_is_looked_for(words: list[str], complaint: str) -> None:
    found = run(*words)

    assert (found.exit_code, found.stdout) == (WRONG_USE, "")
    assert complaint in " ".join(found.stderr.split())


@pytest.mark.parametrize("words", [[], ["--json"], ["--verify"]], ids=" ".join)
def test_broker_that_is_not_there_is_said_in_plain_words(words: list[str]) -> None:
    found = run(*words)

    assert (found.exit_code, found.stdout) == (FAILED, "")
    assert "Error: no Kafka broker answers at 127.0.0.1:1" in found.stderr


def test_totals_that_agree_are_counted(some: Topics) -> None:
    totals = some.add_up()

    found = run("--verify")

    assert (found.exit_code, found.stdout) == (
        0,
        f"{len(totals)} totals agree with their events\n",
    )
    assert "6 events read" in found.stderr


def test_total_that_differs_is_named_with_both_numbers(some: Topics) -> None:
    totals = some.add_up(cost_usd=Decimal(9), tokens={"total_tokens": 8}, cache_hits=1)

    found = run("--verify")

    assert found.exit_code == FAILED
    where = ["all", DAY, "cost_tracking/0"]
    assert list(map(cells, found.stdout.splitlines()))[1:] == [
        [*where, "cost usd", "9", "0.00000025"],
        [*where, "prompt tokens", "0", "5"],
        [*where, "total tokens", "8", "7"],
    ]
    assert found.stderr.endswith(f"1 of {len(totals)} totals differ from their events\n")


def test_program_gets_both_totals_of_what_differs(some: Topics) -> None:
    some.add_up(unknown_costs=0)

    found = run("--verify", "--json")

    assert found.exit_code == FAILED
    [drift] = json.loads(found.stdout)["drifts"]
    assert drift["scope"] == dict.fromkeys(("organization", "provider", "model", "lane"))
    assert (drift["period"], drift["source"], drift["partition"]) == (DAY, "cost_tracking", 0)
    assert (drift["published"]["unknown_costs"], drift["recomputed"]["unknown_costs"]) == (0, 1)


def test_totals_whose_first_events_are_gone_are_not_said_to_agree(topics: Topics) -> None:
    topics.add(COSTS, cost_of())
    topics.add(COSTS, cost_of(at="2026-11-24T10:00:00Z"), at_ms=NOW_MS + _DAY_MS)
    topics.add(REQUESTS, completion_value())
    totals = topics.add_up()
    del topics.records[TOPICS.on_broker(TopicName.REQUEST_COMPLETED)]
    del topics.records[TOPICS.on_broker(TopicName.COST_TRACKING)][0]

    found = run("--verify")

    # Of a day or month: the cell's, all, the provider's, the organisation's.
    assert len(totals) == 4 * (3 + 2)
    assert found.exit_code == 0
    assert found.stdout == "0 totals agree with their events\n"
    assert "20 of 20 totals are not checked: their first events are no longer" in found.stderr


def test_day_after_the_first_that_is_kept_is_checked(topics: Topics) -> None:
    later = "2026-11-24T10:00:00Z"
    topics.add(COSTS, cost_of(), cost_of())
    topics.add(COSTS, cost_of(at=later), at_ms=NOW_MS + _DAY_MS)
    topics.add_up()
    del topics.records[TOPICS.on_broker(TopicName.COST_TRACKING)][0]

    assert json.loads(run("--verify", "--json").stdout) == {
        "totals": 12,
        "unchecked": 8,
        "drifts": [],
    }
    assert run("--verify").stdout == "4 totals agree with their events\n"


@pytest.mark.parametrize(
    ("event", "total", "level", "words"),
    [
        (None, None, Level.OK, "nothing to add up yet"),
        (None, 0, Level.OK, "nothing to add up yet"),
        (0, None, Level.WARNING, "run `llm-worker accountant`"),
        (0, 60, Level.OK, "added up"),
        (5, 0, Level.OK, "added up"),
        (6, 0, Level.WARNING, "see whether `llm-worker accountant` runs"),
    ],
)
def test_doctor_warns_of_totals_that_stay_behind(
    event: int | None, total: int | None, level: Level, words: str
) -> None:
    lag = SpendLag(newest_event=_after(event), newest_total=_after(total))

    finding = lag_finding(lag)

    assert finding.level is level
    assert words in finding.words


def _after(minutes: int | None) -> datetime | None:
    start = datetime(2026, 11, 23, tzinfo=UTC)
    return None if minutes is None else start + timedelta(minutes=minutes)
