"""What our worker counts, as its metrics page tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from typing import Self

    from llm_worker.adapters.telemetry.metric import Metric


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """The page at one moment; `series` are as they stand there, with their labels."""

    series: dict[str, float]

    @classmethod
    async def of(cls, address: str) -> Self:
        """Read a worker's page."""
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.get(f"{address}/metrics") as response,
        ):
            page = await response.text()
        lines = [line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#")]
        return cls({name: float(value) for name, value in lines})

    def total(self, metric: Metric, suffix: str = "", **labels: str) -> float:
        """Sum up the series of a metric that have these labels; 0 where there is none."""
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        return sum(
            value
            for name, value in self.series.items()
            if name.partition("{")[0] == metric.name + suffix
            and all(label in name for label in wanted)
        )

    def slowest_bucket_since(self, earlier: MetricsPage, metric: Metric) -> float:
        """Give the bound of the highest bucket that has grown; 0 where none has."""
        bounds = [*metric.buckets, float("inf")]
        slowest, below = 0.0, 0.0
        for bound in bounds:
            le = "+Inf" if bound == float("inf") else str(float(bound))
            grown = self.total(metric, "_bucket", le=le) - earlier.total(metric, "_bucket", le=le)
            if grown > below:
                slowest = bound
            below = grown
        return slowest
