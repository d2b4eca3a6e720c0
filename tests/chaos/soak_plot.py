"""The picture of a soak that docs/reliability.md shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.chaos.soak_trends import SoakSample


def plot(samples: Sequence[SoakSample], faults: Sequence[tuple[float, float]], path: Path) -> None:
    """Draw a soak; `faults` are from when to when, in seconds."""
    # The same data give the same file.
    with mpl.rc_context({"svg.hashsalt": "soak", "font.size": 9}):
        figure, axes = plt.subplots(4, 1, sharex=True, figsize=(8, 8), layout="constrained")
        minutes = [each.at_s / 60 for each in samples]
        latency, memory, files, kept = axes
        latency.plot(minutes, [each.p50_ms for each in samples], label="p50")
        latency.plot(minutes, [each.p99_ms for each in samples], label="p99")
        latency.set(ylabel="request to result, ms", yscale="log")
        for number, process in enumerate(samples[0].processes):
            of_process = [each.processes[number] for each in samples]
            memory.plot(minutes, [each.rss_mb for each in of_process], label=process.name)
            files.plot(
                minutes, [each.descriptors for each in of_process], label=f"{process.name} files"
            )
            files.plot(
                minutes, [each.threads for each in of_process], label=f"{process.name} threads"
            )
        memory.set(ylabel="resident, MB", ylim=(0, None))
        files.set(ylabel="number", ylim=(0, None))
        kept.plot(minutes, [each.redis_keys for each in samples], label="Redis keys")
        kept.plot(minutes, [each.lag for each in samples], label="lag, requests")
        kept.set(ylabel="number", xlabel="minutes", ylim=(0, None))
        for each in axes:
            for begin, end in faults:
                each.axvspan(
                    begin / 60, max(end, begin + 1) / 60, color="tab:red", alpha=0.12, lw=0
                )
            each.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
