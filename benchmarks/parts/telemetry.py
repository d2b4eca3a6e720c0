"""CPU that metrics, logs and spans add to a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.bench import MOCK, WINDOW_PER_LANE
from benchmarks.load import request
from benchmarks.report import Section
from benchmarks.spans_sink import spans_sink
from benchmarks.window import measure
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.spans_sink import SpansSink
    from benchmarks.window import Window
    from llm_worker.contracts.topics import TopicCatalog

_ESSAY_BYTES = 1_000
_IN_FLIGHT = 50
_SKIP = 500
_BEHIND = 1_000
_UNSAMPLED = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
"""Of a caller that traces, and has not sampled these: what most requests carry in the field."""


class Case(StrEnum):
    """What the worker tells."""

    NOTHING = "nothing"
    TOLD = "metrics and logs"
    NOT_SAMPLED = "and spans, not sampled"
    SAMPLED = "and spans, all sampled"


_SAMPLERS: Mapping[Case, str] = {
    Case.NOT_SAMPLED: "parentbased_always_on",
    Case.SAMPLED: "always_on",
}
_BASELINE = {Case.TOLD: Case.NOTHING, Case.NOT_SAMPLED: Case.TOLD, Case.SAMPLED: Case.TOLD}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryPlan:
    """How much to measure."""

    rounds: int
    comparisons: int


async def measure_telemetry(
    bench: Bench, plan: TelemetryPlan, tell: Callable[[str], None]
) -> Section:
    """Run every case in turn over the same requests; another one begins each round."""
    topics = await bench.topics("telemetry")
    await _fill(bench, topics, _SKIP + plan.comparisons + _BEHIND)
    rounds: list[dict[Case, Window]] = []
    cases = list(Case)
    async with spans_sink() as sink:
        for number in range(plan.rounds):
            tell(f"telemetry: round {number + 1}")
            first = number % len(cases)
            order = cases[first:] + cases[:first]
            rounds.append({case: await _run(bench, topics, plan, case, sink) for case in order})
    return Section(
        title="Telemetry, microseconds of CPU per comparison",
        rows=[_row(case, rounds) for case in Case],
        remarks=[
            f"median of {plan.rounds} interleaved rounds of {plan.comparisons} comparisons",
            f"{_ESSAY_BYTES} bytes an essay, {_IN_FLIGHT} in flight, all misses; mock at 0 ms",
            "logs: from INFO on, to a file; spans: four a comparison, sent by OTLP to this machine",
            "ratio: to the line above it, all sampled to metrics and logs; rounds' median (range)",
            "scaled to the core's full speed; slowness: how far it was from that meanwhile",
        ],
    )


async def _fill(bench: Bench, topics: TopicCatalog, count: int) -> None:
    topic = topics.on_broker(TopicName.COMPARISON_REQUESTED)
    for _ in range(count):
        key, value = request(_ESSAY_BYTES)
        headers = [("traceparent", _UNSAMPLED)]
        await bench.producer.send(topic, value=value, key=key, headers=headers)
    await bench.producer.flush()


async def _run(
    bench: Bench, topics: TopicCatalog, plan: TelemetryPlan, case: Case, sink: SpansSink
) -> Window:
    """Run one case once; raises RuntimeError where spans came, or none, that should not."""
    held_before, received_before = await bench.results(topics), sink.size_bytes
    with bench.worker(
        topics,
        slots=max(2, _IN_FLIGHT // WINDOW_PER_LANE),
        providers=MOCK | _spans(case, sink),
        settings={"LOG__LEVEL": "INFO"},
        module="benchmarks.loops.untold" if case is Case.NOTHING else "benchmarks.loops.worker",
    ) as (subject, _):
        window = await measure(
            bench, subject, topics, skip=_SKIP, count=plan.comparisons, held_before=held_before
        )
    received = sink.size_bytes - received_before
    if bool(received) is not (case is Case.SAMPLED):
        raise RuntimeError(f"{case}: {received} bytes of spans came; {subject.end_of_log()}")
    return window


def _spans(case: Case, sink: SpansSink) -> dict[str, str]:
    if case not in _SAMPLERS:
        return {}
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        "OTEL_TRACES_SAMPLER": _SAMPLERS[case],
    }


def _row(case: Case, rounds: list[dict[Case, Window]]) -> dict[str, Figure]:
    return {
        "told": case,
        "us CPU": round(median(each[case].cpu_us for each in rounds)),
        "ratio": _ratio(case, rounds),
        "comparisons/s": round(median(each[case].per_s for each in rounds)),
        "slowness": median(each[case].slowness for each in rounds),
    }


def _ratio(case: Case, rounds: list[dict[Case, Window]]) -> str:
    if case not in _BASELINE:
        return "-"
    ratios = [each[case].cpu_us / each[_BASELINE[case]].cpu_us for each in rounds]
    return f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
