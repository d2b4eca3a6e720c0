"""Measure our worker beside its peers: method and figures in docs/peers.md."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.bench import bench_on
from benchmarks.over_http import call_of, environment_of
from benchmarks.peers.figures import Figures, Run, promises
from benchmarks.peers.peers import Peer, Stand, locked_versions
from benchmarks.peers.plot import draw
from benchmarks.peers.provider import running_provider
from benchmarks.report import machine, put_into, render
from benchmarks.subject import watch_from_the_side
from benchmarks.window import measure, measure_for
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.cache import EmbeddedCache
from llm_worker.dev.fake_providers.process import FakeProviders
from llm_worker.dev.kafka import EmbeddedKafka

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_ESSAY_BYTES = 1_000
_WARM_UP = 300
_PROVIDER_TIMES_FASTER = 5
_VERDICT = b"states its claim early"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to measure; so many requests wait, more than the fastest peer answers."""

    rounds: int
    seconds: float
    requests: int
    in_flights: tuple[int, ...]


def main() -> None:
    """Measure what the command line asks for."""
    asked = _arguments()
    plan = Plan(
        rounds=1 if asked.quick else asked.rounds,
        seconds=2 if asked.quick else 6,
        requests=15_000 if asked.quick else 40_000,
        in_flights=(50,) if asked.quick else (50, 500),
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the processes under test stay
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # new topics have no leader yet
    watch_from_the_side()
    figures, remark = _measured(plan)
    _report(figures, remark, asked)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short round; to see that it runs")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into it")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them there, as SVG")
    return parser.parse_args()


def _measured(plan: Plan) -> tuple[Figures, str]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        with (
            running_provider(path) as provider,
            EmbeddedKafka(path / "kafka") as kafka,
            EmbeddedCache(path / "cache") as cache,
            FakeProviders(path / "fakes") as fakes,
        ):

            async def measured() -> tuple[Figures, str]:
                async with bench_on(kafka.bootstrap_servers, path, fakes) as bench:
                    topics = await bench.topics("peers")
                    call = await call_of(environment_of(fakes, calls=2), _ESSAY_BYTES)
                    provider.check(call.body)
                    stand = Stand(
                        bench=bench,
                        topics=topics,
                        provider=provider,
                        redis_url=cache.url,
                        call=call.body,
                    )
                    return await _compare(bench, stand, plan)

            return asyncio.run(measured())


async def _compare(bench: Bench, stand: Stand, plan: Plan) -> tuple[Figures, str]:
    able = stand.provider.calls_per_s(stand.call, seconds=plan.seconds)
    await bench.fill(
        stand.topics, TopicName.COMPARISON_REQUESTED, plan.requests, essay_bytes=_ESSAY_BYTES
    )
    figures = Figures([])
    for number in range(plan.rounds):
        for in_flight in plan.in_flights:
            # Each round starts with another, so that none always comes after the same one.
            peers = [*Peer][number:] + [*Peer][:number]
            for peer in peers:
                figures.runs.append(await _run(stand, peer, in_flight, number, plan.seconds))
    fastest = max(run.window.per_s for run in figures.runs)
    enough = "" if able >= _PROVIDER_TIMES_FASTER * fastest else " **Too few to be no limit.**"
    remark = (
        f"the provider alone answers {able:,.0f} calls/s, the fastest peer makes {fastest:,.0f}"
    )
    return figures, f"{remark}.{enough}"


async def _run(stand: Stand, peer: Peer, in_flight: int, number: int, seconds: float) -> Run:
    bench, topics = stand.bench, stand.topics
    ends, calls_before = await _ends(stand), stand.provider.calls()
    with stand.running(peer, in_flight=in_flight) as subject:
        skip = _WARM_UP + in_flight
        await measure(bench, subject, topics, skip=0, count=skip, held_before=sum(ends.values()))
        window = await measure_for(bench, subject, topics, seconds=seconds)
        peak_mb = subject.peak_mb()
        called = stand.provider.calls() - calls_before
    if called < window.comparisons:
        raise RuntimeError(f"{peer} wrote {window.comparisons} results for {called} calls")
    await _check_a_result(stand, peer, ends)
    sys.stderr.write(f"{peer}, {in_flight} in flight: {window.per_s:.0f}/s\n")
    return Run(peer=peer, in_flight=in_flight, round_number=number, window=window, peak_mb=peak_mb)


async def _check_a_result(stand: Stand, peer: Peer, ends: dict[TopicPartition, int]) -> None:
    """Read one that was written last: it must be a verdict, not an error."""
    now = await _ends(stand)
    tp = max(now, key=lambda tp: now[tp] - ends[tp])
    async with AIOKafkaConsumer(bootstrap_servers=stand.bench.bootstrap_servers) as reader:
        reader.assign([tp])
        reader.seek(tp, now[tp] - 1)
        record = await reader.getone()
    if _VERDICT not in record.value:
        raise RuntimeError(f"{peer} wrote a result without the verdict")


async def _ends(stand: Stand) -> dict[TopicPartition, int]:
    """Say up to where the broker holds results."""
    name = TopicName.COMPARISON_RESULT
    topic, partitions = stand.topics.on_broker(name), range(stand.topics[name].partitions)
    tps = [TopicPartition(topic, partition) for partition in partitions]
    ends: dict[TopicPartition, int] = await stand.bench.consumer.end_offsets(tps)
    return ends


def _report(figures: Figures, remark: str, asked: argparse.Namespace) -> None:
    facts = machine() | locked_versions()
    said = ", ".join(f"{name} {fact}" for name, fact in facts.items())
    command = " ".join(["python -m benchmarks.peers.run", *sys.argv[1:]])
    section = figures.section()
    section.remarks.append(remark)
    text = "\n".join([f"`{command}` on {said}", "", render(section), render(promises())])
    sys.stdout.write(text + "\n")
    if asked.markdown:
        put_into(asked.markdown, text)
    if asked.plot:
        draw(figures, asked.plot, in_flight=figures.runs[0].in_flight)


if __name__ == "__main__":
    main()
