"""Keep what was spent and asked in Parquet files, one a day, and plot the spend.

    python examples/analytics_to_parquet.py --out analytics

writes analytics/costs/2026-11-23.parquet (a row an attempt that may have been billed, or a cache
hit), analytics/requests/2026-11-23.parquet (a row a request) and analytics/spend.png.

Nothing is lost or doubled, whenever it is killed: an event is in the spool, a file, before the next
is asked for, which is when Kafka counts it as done. From there rows go into the files of their
days, by event id: what comes twice replaces itself. One process a folder.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from llm_worker.client import ClientError, EventReader
from llm_worker.contracts.events import LLMCostTrackingV1, LLMRequestCompletedV1

if TYPE_CHECKING:
    from llm_worker.contracts.envelope import EventEnvelope

    Usage = LLMCostTrackingV1 | LLMRequestCompletedV1

SCHEMA = pa.schema(
    {
        "event_id": pa.string(),
        "at": pa.timestamp("us", "UTC"),
        "provider": pa.string(),
        "model": pa.string(),
        "organization_id": pa.string(),
        "outcome": pa.string(),
        "usd": pa.decimal128(20, 12),  # null: unknown, which is not 0
        "tokens": pa.int64(),
    }
)


def row_of(event: EventEnvelope[Usage]) -> tuple[str, dict[str, Any]]:
    """Give an event's table and row, in values that JSON has."""
    data = event.data
    row: dict[str, Any] = {"event_id": str(event.event_id), "provider": data.provider}
    row["at"] = event.event_timestamp.isoformat()
    if isinstance(data, LLMCostTrackingV1):
        usd = data.cost_estimate_usd if data.cost_known else None
        row |= {"model": data.model, "organization_id": data.organization_id}
        row |= {"outcome": data.outcome, "tokens": data.token_usage.get("total_tokens")}
    else:
        usd = data.cost_estimate if data.metadata["cost_known"] else None
        row |= {name: data.metadata.get(name) for name in ("model", "organization_id")}
        row |= {"outcome": "success" if data.success else "failure"}
        row |= {"tokens": data.token_usage.total_tokens}
    row["usd"] = None if usd is None else f"{usd:.12f}"
    return "costs" if isinstance(data, LLMCostTrackingV1) else "requests", row


def settle(out: Path) -> None:
    """Move the spool's rows into the files of their days; done again, it changes nothing."""
    spool = out / "spool.jsonl"
    days: dict[Path, list[dict[str, Any]]] = defaultdict(list)
    for line in spool.read_bytes().splitlines(keepends=True) if spool.exists() else ():
        if line.endswith(b"\n"):  # half a line is of an event that comes again
            table, row = json.loads(line)
            row["usd"] = row["usd"] and Decimal(row["usd"])
            row["at"] = datetime.fromisoformat(row["at"])
            days[out / table / f"{row['at']:%Y-%m-%d}.parquet"].append(row)
    for file, new in days.items():
        rows = {r["event_id"]: r for r in pq.read_table(file).to_pylist()} if file.exists() else {}
        for row in new:
            # "unknown" is told before it is known what an attempt cost, and replaces nothing.
            if row["outcome"] != "unknown" or row["event_id"] not in rows:
                rows[row["event_id"]] = row
        file.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows.values()), SCHEMA), out / "new.parquet")
        (out / "new.parquet").replace(file)
    spool.unlink(missing_ok=True)


def plot(out: Path) -> None:
    """Draw the spend of each model as it grew."""
    curves: dict[str, list[tuple[Any, float]]] = defaultdict(list)
    for file in sorted((out / "costs").glob("*.parquet")):
        for row in pq.read_table(file).sort_by("at").to_pylist():
            curve = curves[f"{row['provider']} {row['model']}"]
            curve.append((row["at"], float(row["usd"] or 0) + (curve[-1][1] if curve else 0)))
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for name, curve in sorted(curves.items()):
        axes.step(*zip(*curve, strict=True), where="post", label=name)
    axes.set(title="LLM spend, known costs", xlabel="UTC", ylabel="USD", ylim=(0, None))
    axes.legend()
    figure.autofmt_xdate()
    figure.savefig(out / "spend.png", dpi=120)


async def collect(kafka: str, group: str, out: Path, idle_s: float | None, every: int) -> None:
    """Spool events, and settle them now and then; until nothing comes for `idle_s` seconds."""
    kinds: list[type[Usage]] = [LLMCostTrackingV1, LLMRequestCompletedV1]
    async with EventReader(kafka, kinds, group=group) as events:
        while True:
            with (out / "spool.jsonl").open("ab") as spool:
                for _ in range(every):
                    try:
                        async with asyncio.timeout(idle_s):
                            event = await anext(events)
                    except TimeoutError:
                        return
                    spool.write(json.dumps(row_of(event)).encode() + b"\n")
                    # The system has it then, should we die; against its own death: os.fsync.
                    spool.flush()
            settle(out)


@click.command()
@click.option("--kafka", default="127.0.0.1:9092", show_default=True, help="host:port,host:port")
@click.option("--group", default="analytics-to-parquet", show_default=True, help="Consumer group.")
@click.option("--out", type=click.Path(path_type=Path), default="analytics", show_default=True)
@click.option("--until-idle", type=float, help="Seconds without an event after which to end.")
@click.option("--every", default=500, show_default=True, help="Events between two settlements.")
def main(*, kafka: str, group: str, out: Path, until_idle: float | None, every: int) -> None:
    """Write usage to Parquet and plot it, until Ctrl-C."""
    out.mkdir(parents=True, exist_ok=True)
    settle(out)  # what a killed run has left
    try:
        asyncio.run(collect(kafka, group, out, until_idle, every))
    except ClientError as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        print("stopped")
    settle(out)
    plot(out)
    for table in ("costs", "requests"):
        files = list((out / table).glob("*.parquet"))
        print(f"{table}: {sum(pq.read_metadata(file).num_rows for file in files)} rows")


if __name__ == "__main__":
    main()
