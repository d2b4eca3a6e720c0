"""The figures as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure as Picture

from benchmarks.peers.peers import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.peers.figures import Figures

_OURS, _THEIRS, _INK = "#2563eb", "#94a3b8", "#64748b"


def draw(figures: Figures, path: Path, *, in_flight: int) -> None:
    """Write bars of the comparisons of one core, as SVG that reads on light and dark pages."""
    mpl.rcParams.update({"svg.hashsalt": "peers", "svg.fonttype": "none", "text.color": _INK})
    picture = Picture(figsize=(7.5, 3.2), layout="constrained")
    axes = picture.subplots()
    peers = list(reversed(Peer))
    values = [figures.median_of(peer, in_flight, lambda run: run.per_core_s) for peer in peers]
    colours = [_OURS if peer in (Peer.OURS, Peer.OURS_ALONE) else _THEIRS for peer in peers]
    bars = axes.barh([peer.value for peer in peers], values, color=colours, height=0.65)
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=4)
    axes.set_title(f"Comparisons a second of one core, {in_flight} in flight", loc="left")
    axes.tick_params(colors=_INK, length=0)
    axes.margins(x=0.12)
    axes.get_xaxis().set_visible(False)
    axes.spines[:].set_visible(False)
    picture.savefig(path, format="svg", transparent=True, metadata={"Date": None})
