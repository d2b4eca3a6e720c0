"""What the accountant says of itself, for health and metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from llm_worker import __version__
from llm_worker.adapters.telemetry import accountant_catalog
from llm_worker.bootstrap.process_gauges import readings_of_process
from llm_worker.domain.health import Facts, judge
from llm_worker.domain.spend import EVERYTHING, day_of, month_of
from llm_worker.domain.spend_events import key_text
from llm_worker.domain.usage import Dimension, usage_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.adapters.kafka.intake import IntakeState
    from llm_worker.adapters.telemetry.metrics import Readings
    from llm_worker.adapters.telemetry.spend import SpendTelemetry
    from llm_worker.application.accounting import Accounting
    from llm_worker.bootstrap.spend.feed import SpendFeed
    from llm_worker.domain.health import Health
    from llm_worker.domain.verification import Drift

SERVICE: Final = "llm-worker-accountant"
_log = structlog.get_logger("llm_worker")


@dataclass(slots=True, kw_only=True)
class AccountantProbe:
    """Answers /healthz and /metrics; reads, and never waits."""

    state: IntakeState
    accounting: Accounting
    feed: SpendFeed
    telemetry: SpendTelemetry
    environment: str
    _drifts: int | None = field(default=None, init=False)

    @property
    def loop_lag_s(self) -> float:
        """Seconds that the event loop's last timer was late."""
        return self.state.loop_lag_s

    def health(self) -> Health:
        """Judge the present facts."""
        return judge(
            Facts(
                service=SERVICE,
                version=__version__,
                environment=self.environment,
                loop_lag_s=self.loop_lag_s,
                kafka=self.state.kafka(),
                may_stand_by=True,
            )
        )

    def metrics(self) -> bytes:
        """Render all metrics in Prometheus' text format."""
        return self.telemetry.render(self._readings())

    def verified(self, drifts: Sequence[Drift]) -> None:
        """Note how the totals compared with their events."""
        self._drifts = len(drifts)
        for drift in drifts[:10]:
            _log.error(
                "totals_drift",
                account=key_text(drift.key),
                published_usd=str(drift.published.cost_usd),
                recomputed_usd=str(drift.recomputed.cost_usd),
            )

    def _readings(self) -> Readings:
        today = day_of(self.accounting.clock.now())
        periods = {"day": today, "month": month_of(today)}
        spend: dict[tuple[str, ...], float] = {}
        unknown: dict[tuple[str, ...], float] = {}
        for name, period in periods.items():
            for line in usage_by(self.feed.view, period, [Dimension.PROVIDER]):
                spend[name, *line.names] = float(line.total.cost_usd)
                unknown[name, *line.names] = float(line.total.unknown_costs)
        limits = self.accounting.budgets().limits(EVERYTHING, today)
        kind_of = {period: name for name, period in periods.items()}
        books = self.accounting.books
        return {
            **readings_of_process("accountant", self.health(), self.state),
            accountant_catalog.SPEND: spend,
            accountant_catalog.SPEND_UNKNOWN: unknown,
            accountant_catalog.SPEND_LIMIT: {
                (kind_of[limit.period],): float(limit.limit_usd) for limit in limits
            },
            accountant_catalog.ACCOUNTS: {(): float(len(books.ledger) if books else 0)},
            accountant_catalog.SPEND_DRIFT: {}
            if self._drifts is None
            else {(): float(self._drifts)},
        }
