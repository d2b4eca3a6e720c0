from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.kafka.spend_codec import SpendCodec, read_account
from llm_worker.contracts.events import LLMUsageAnalyticsV1
from llm_worker.contracts.vocabulary import AlertType, ProviderName, TopicName
from llm_worker.domain.alerts import Alert
from llm_worker.domain.ledger import Account
from llm_worker.domain.spend import EVERYTHING, SOURCES, AccountKey, Scope, Source
from llm_worker.domain.spend_events import (
    OWNER,
    alert_event,
    analytics_event,
    key_of_text,
    key_text,
    state_event,
)
from tests.support.builders import NOW, TOPICS
from tests.support.spend import CELL, COSTS, DAY
from tests.support.wire import data_of, read_event

_text = st.none() | st.text(st.characters(codec="utf-8"), max_size=12)
_keys = st.builds(
    AccountKey,
    st.builds(Scope, _text, st.none() | st.sampled_from(ProviderName), _text, _text),
    st.sampled_from([DAY, "2026-11"]),
    st.builds(Source, st.sampled_from(SOURCES), st.integers(0, 1_000)),
)
_counts = st.integers(0, 10**12)
_usd = st.decimals(0, 10**9, places=15)
_accounts = st.builds(
    Account,
    requests=_counts,
    failures=_counts,
    cache_hits=_counts,
    tokens=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=9), _counts, max_size=3),
    cost_usd=_usd,
    unknown_costs=_counts,
    savings_usd=_usd,
    last_offset=_counts,
    alerts_raised=st.lists(st.text(st.characters(codec="utf-8"), max_size=9), max_size=3).map(
        tuple
    ),
)
_ALERT = Alert(
    alert_type=AlertType.BUDGET_THRESHOLD,
    scope=Scope(organization="école"),
    period=DAY,
    current_usd=Decimal("0.85"),
    threshold_usd=Decimal("0.8"),
    threshold="0.8",
    share=Decimal("0.8"),
)


@given(_keys, _accounts)
def test_account_is_read_back_from_the_wire_as_it_was(key: AccountKey, account: Account) -> None:
    record = SpendCodec(TOPICS).render(state_event(key, account, NOW, "me"))
    read_event(record.value)
    assert read_account(record.key, record.value) == (key, account)
    assert read_account(record.key, None) == (key, None)
    assert dict(record.headers)[OWNER] == b"me"


@given(_keys, _keys)
def test_key_is_text_that_only_the_same_account_has(one: AccountKey, other: AccountKey) -> None:
    assert key_of_text(key_text(one)) == one
    assert (key_text(one) == key_text(other)) is (one == other)


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", '["a"]', '[null,"ibm",null,null,"",1,2]'])
def test_text_that_is_no_accounts_key_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        key_of_text(text)


def test_key_stands_on_the_topic_as_readers_expect_it() -> None:
    """Another form of the key would leave the old record beside the new one for ever."""
    assert key_text(AccountKey(CELL, DAY, COSTS)) == (
        '["school","openai","gpt-5","normal","2026-11-23","cost_tracking",0]'
    )
    assert key_text(AccountKey(EVERYTHING, "2026-11", COSTS)) == (
        '[null,null,null,null,"2026-11","cost_tracking",0]'
    )
    assert "école" in key_text(AccountKey(Scope(organization="école"), DAY, COSTS))


def test_account_that_is_published_again_has_its_old_id_and_a_changed_one_another() -> None:
    key, account = AccountKey(CELL, DAY, COSTS), Account(last_offset=4)
    once = state_event(key, account, NOW, "me")
    assert state_event(key, account, NOW, "another").event_id == once.event_id
    later = replace(account, last_offset=5)
    alerted = replace(account, alerts_raised=("5",))
    elsewhere = key._replace(period="2026-11")
    ids = {
        state_event(*event, NOW, "me").event_id
        for event in ((key, account), (key, later), (key, alerted), (elsewhere, account))
    }
    assert len(ids) == 4


def test_account_that_includes_no_event_is_never_published() -> None:
    with pytest.raises(ValueError, match="last_offset"):
        state_event(AccountKey(CELL, DAY, COSTS), Account(), NOW, "me")


def test_alert_tells_scope_share_and_what_was_spent() -> None:
    event = alert_event(_ALERT, NOW)
    record = SpendCodec(TOPICS).render(event)
    assert data_of(record.value) == {
        "alert_type": "budget_threshold",
        "provider": None,
        "current_cost": 0.85,
        "threshold": 0.8,
        "period": DAY,
        "metadata": {
            "scope": {"organization_id": "école"},
            "organization_id": "école",
            "share": 0.8,
        },
    }
    assert event.event_id == _ALERT.alert_id
    assert record.key == '{"organization_id":"école"}'.encode()


def test_alerts_of_a_scope_lie_in_one_partition_in_their_order() -> None:
    one, other = (alert_event(replace(_ALERT, threshold=each), NOW) for each in ("5", "10"))
    assert (one.key, one.correlation_id) == (other.key, other.correlation_id)
    assert one.event_id != other.event_id


def test_spike_has_no_share_and_a_providers_alert_names_it() -> None:
    scope = Scope(provider=ProviderName.GOOGLE)
    event = alert_event(replace(_ALERT, scope=scope, share=None), NOW)
    data = data_of(SpendCodec(TOPICS).render(event).value)
    assert (data["provider"], data["metadata"]["share"]) == ("google", None)
    assert data["metadata"]["organization_id"] is None
    assert data["metadata"]["scope"] == {"provider": "google"}


def test_window_that_is_published_again_has_its_old_id() -> None:
    def event_id(minute: int, place: str = "cost_tracking/0") -> object:
        data = LLMUsageAnalyticsV1(
            period_start=NOW.replace(minute=minute),
            period_end=NOW,
            provider_stats={},
            total_requests=0,
            successful_requests=0,
            failed_requests=0,
            total_tokens={},
            total_cost=Decimal(0),
            average_response_time_ms=0,
            metadata={"next_offsets": {place: 1}},
        )
        event = analytics_event(data, NOW)
        assert event.topic is TopicName.USAGE_ANALYTICS
        read_event(SpendCodec(TOPICS).render(event).value)
        return event.event_id

    assert event_id(1) == event_id(1) != event_id(2)
    assert event_id(1) != event_id(1, "cost_tracking/3")  # another owner's
