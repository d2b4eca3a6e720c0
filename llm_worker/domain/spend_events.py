"""What the accountant publishes, and how its state is read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

from llm_worker.contracts.events import (
    LLMCostAlertV1,
    LLMSpendStateV1,
    LLMUsageAnalyticsV1,
    SpendScope,
)
from llm_worker.contracts.vocabulary import ProviderName, TopicName
from llm_worker.domain.event import Event
from llm_worker.domain.ledger import Account
from llm_worker.domain.spend import AccountKey, Scope, Source

if TYPE_CHECKING:
    from datetime import datetime

    from llm_worker.domain.alerts import Alert

OWNER: Final = "accountant"
"""The header that names the process that has published an account."""
_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:llm-worker:spend")


def state_event(key: AccountKey, account: Account, now: datetime, owner: str) -> Event:
    """Tell an account as it stands; `owner` names who tells it."""
    text = key_text(key)
    correlation_id = uuid5(_NAMESPACE, text)
    data = LLMSpendStateV1(
        scope=_wire_scope(key.scope),
        period=key.period,
        source=key.source.topic,
        partition=key.source.partition,
        requests=account.requests,
        failures=account.failures,
        cache_hits=account.cache_hits,
        tokens=dict(account.tokens),
        cost_usd=account.cost_usd,
        unknown_costs=account.unknown_costs,
        savings_usd=account.savings_usd,
        last_offset=account.last_offset,
        alerts_raised=list(account.alerts_raised),
        updated_at=now,
    )
    version = f"{account.last_offset}/{len(account.alerts_raised)}"
    return Event(
        topic=TopicName.SPEND_STATE,
        event_id=uuid5(correlation_id, version),
        correlation_id=correlation_id,
        timestamp=now,
        data=data,
        trace={OWNER: owner},
        key=text,
    )


def account_of(data: LLMSpendStateV1) -> tuple[AccountKey, Account]:
    """Read an account back."""
    scope = data.scope
    key = AccountKey(
        Scope(scope.organization_id, scope.provider, scope.model, scope.lane),
        data.period,
        Source(data.source, data.partition),
    )
    return key, Account(
        requests=data.requests,
        failures=data.failures,
        cache_hits=data.cache_hits,
        tokens=dict(data.tokens),
        cost_usd=data.cost_usd,
        unknown_costs=data.unknown_costs,
        savings_usd=data.savings_usd,
        last_offset=data.last_offset,
        alerts_raised=tuple(data.alerts_raised),
    )


def key_text(key: AccountKey) -> str:
    """Write an account's key down as the record's key: a JSON list."""
    parts = [*key.scope, key.period, *key.source]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def key_of_text(text: str) -> AccountKey:
    """Read an account's key. Raises ValueError where the text is none."""
    organization, provider, model, lane, period, topic, partition = json.loads(text)
    scope = Scope(organization, None if provider is None else ProviderName(provider), model, lane)
    return AccountKey(scope, period, Source(TopicName(topic), int(partition)))


def alert_event(alert: Alert, now: datetime) -> Event:
    """Tell that a threshold was crossed."""
    scope = _wire_scope(alert.scope).model_dump(exclude_none=True)
    text = json.dumps(scope, ensure_ascii=False, separators=(",", ":"))
    data = LLMCostAlertV1(
        alert_type=alert.alert_type,
        provider=alert.scope.provider,
        current_cost=alert.current_usd,
        threshold=alert.threshold_usd,
        period=alert.period,
        metadata={
            "scope": scope,
            "organization_id": alert.scope.organization,
            "share": None if alert.share is None else float(alert.share),
        },
    )
    return Event(
        topic=TopicName.COST_ALERT,
        event_id=alert.alert_id,
        correlation_id=uuid5(_NAMESPACE, text),
        timestamp=now,
        data=data,
        trace={},
        key=text,
    )


def analytics_event(data: LLMUsageAnalyticsV1, now: datetime) -> Event:
    """Tell what happened in a window of time; each owner of partitions tells of its own."""
    window_id = uuid5(_NAMESPACE, data.period_start.isoformat())
    first = min(data.metadata["next_offsets"])
    return Event(
        topic=TopicName.USAGE_ANALYTICS,
        event_id=uuid5(window_id, f"{TopicName.USAGE_ANALYTICS}/{data.period_end}/{first}"),
        correlation_id=window_id,
        timestamp=now,
        data=data,
        trace={},
    )


def _wire_scope(scope: Scope) -> SpendScope:
    return SpendScope(
        organization_id=scope.organization,
        provider=scope.provider,
        model=scope.model,
        lane=scope.lane,
    )
