"""What the runs say, side by side: medians, ratios, goals."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.peers.peers import PROMISES, Peer
from benchmarks.report import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.report import Figure
    from benchmarks.window import Window

_OURS = (Peer.OURS, Peer.OURS_ALONE)
_FASTSTREAM = (Peer.FASTSTREAM_OPENAI, Peer.FASTSTREAM_AIOHTTP, Peer.FASTSTREAM_HTTPX)
GOALS = ((Peer.LITELLM, 10.0), *((peer, 4.0) for peer in _FASTSTREAM))
"""How many times a peer's comparisons of one core ours are to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One peer, run once. `peak_mb` is resident memory, in 10^6 bytes."""

    peer: Peer
    in_flight: int
    round_number: int
    window: Window
    peak_mb: float

    @property
    def per_core_s(self) -> float:
        """Comparisons a second of one core at its full speed, all of it used."""
        return 1e6 / self.window.cpu_us


@dataclass(frozen=True, slots=True)
class Figures:
    """All runs of a session."""

    runs: list[Run]

    def median_of(self, peer: Peer, in_flight: int, of: Callable[[Run], float]) -> float:
        """Give the median of a peer's runs."""
        return median(of(run) for run in self._runs(peer, in_flight))

    def times(self, peer: Peer, other: Peer, in_flight: int) -> float:
        """Say how many times the other's comparisons of one core a peer's are.

        It is the median of the rounds' ratios, so that a noisy minute hits both.
        """
        others = {run.round_number: run for run in self._runs(other, in_flight)}
        return median(
            run.per_core_s / others[run.round_number].per_core_s
            for run in self._runs(peer, in_flight)
        )

    def section(self) -> Section:
        """Give a row for each peer and number in flight."""
        in_flights = sorted({run.in_flight for run in self.runs})
        return Section(
            title="Comparisons of one core",
            rows=[self._row(peer, in_flight) for in_flight in in_flights for peer in Peer],
            remarks=[
                f"median of {len(self._runs(Peer.BARE, in_flights[0]))} interleaved rounds",
                "a second of one core: all of it used, scaled to its full speed",
                "measured: as they came; core: the share of it that the process used",
                "times: median of the rounds' ratios",
                "slowness: how far the core was from its full speed meanwhile",
                *(
                    self._reached(ours, peer, goal, in_flights[0])
                    for ours in _OURS
                    for peer, goal in GOALS
                ),
            ],
        )

    def _row(self, peer: Peer, in_flight: int) -> dict[str, Figure]:
        def of(figure: Callable[[Run], float]) -> float:
            return self.median_of(peer, in_flight, figure)

        return {
            "": peer.value,
            "in flight": in_flight,
            "a second of one core": round(of(lambda run: run.per_core_s)),
            "us CPU each": round(of(lambda run: run.window.cpu_us)),
            "times LiteLLM": self.times(peer, Peer.LITELLM, in_flight),
            "of the bare loop": self.times(peer, Peer.BARE, in_flight),
            "measured a second": round(of(lambda run: run.window.per_s)),
            "core": of(lambda run: run.window.core_share),
            "RSS MB": round(of(lambda run: run.peak_mb)),
            "slowness": of(lambda run: run.window.slowness),
        }

    def _reached(self, ours: Peer, peer: Peer, goal: float, in_flight: int) -> str:
        times = self.times(ours, peer, in_flight)
        verdict = "reached" if times >= goal else "**missed**"
        return f"{ours} at least {goal:.0f} times {peer}: {verdict}, {times:.1f}"

    def _runs(self, peer: Peer, in_flight: int) -> list[Run]:
        return [run for run in self.runs if (run.peer, run.in_flight) == (peer, in_flight)]


def promises() -> Section:
    """Say what each peer promises for what it costs."""
    return Section(
        title="What each promises",
        rows=[{"": peer.value, "promises": promise} for peer, promise in PROMISES.items()],
    )
