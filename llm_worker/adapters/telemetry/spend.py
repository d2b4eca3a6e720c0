"""What the accountant counts and logs. No line holds more than scopes, numbers and codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import generate_latest

from llm_worker.adapters.telemetry.accountant_catalog import ALERTS, BOOKED_EVENTS, OVERWRITES
from llm_worker.adapters.telemetry.catalog import PUBLISH_RETRIES
from llm_worker.adapters.telemetry.metrics import Gauges, counter_of, registry_of_process
from llm_worker.adapters.telemetry.refusals import LoggedRefusals

if TYPE_CHECKING:
    from llm_worker.adapters.telemetry.metrics import Readings
    from llm_worker.domain.alerts import Alert
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.errors import InvalidDeliveryError
    from llm_worker.domain.spend import AccountKey

_log = structlog.get_logger("llm_worker")


class SpendTelemetry(LoggedRefusals):
    """Counts what the accountant does. Registers nothing globally."""

    def __init__(self) -> None:
        self._registry: Final = registry_of_process()
        self._gauges: Final = Gauges()
        self._registry.register(self._gauges)
        self._events: Final = counter_of(BOOKED_EVENTS, self._registry)
        self._alerts: Final = counter_of(ALERTS, self._registry)
        self._overwrites: Final = counter_of(OVERWRITES, self._registry).child()
        self._publish_retries: Final = counter_of(PUBLISH_RETRIES, self._registry).child()

    def booked(self, events: int, repeated: int) -> None:
        """Note a batch that is done, and how many of its events were known already."""
        self._events.child("added").inc(events - repeated)
        self._events.child("repeated").inc(repeated)

    def unreadable(self, record: PlacedRecord, error: InvalidDeliveryError) -> None:
        """Note an event that was set aside."""
        self._events.child("unreadable").inc()
        _log.warning(
            "event_set_aside",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error_code=error.code,
            why=error.message,
        )

    def alerted(self, alert: Alert) -> None:
        """Note an alert that was raised."""
        self._alerts.child(alert.alert_type).inc()
        _log.warning(
            "cost_alert",
            type=alert.alert_type,
            organization=alert.scope.organization,
            provider=alert.scope.provider,
            period=alert.period,
            threshold_usd=str(alert.threshold_usd),
            current_usd=str(alert.current_usd),
        )

    def opened(self, accounts: int, alerts: int) -> None:
        """Note that the state was read."""
        _log.info("books_opened", accounts=accounts, alerts=alerts)

    def overwritten(self, key: AccountKey) -> None:
        """Note that another process has published over an account that is ours."""
        self._overwrites.inc()
        _log.warning("account_overwritten", period=key.period, partition=key.source.partition)

    def publish_retried(self) -> None:
        """Count one more try to publish."""
        self._publish_retries.inc()

    def render(self, readings: Readings) -> bytes:
        """Render everything in Prometheus' text format 1.0.0, gauges as `readings` has them."""
        self._gauges.readings = readings
        return generate_latest(self._registry)
