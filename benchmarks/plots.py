"""The tables as pictures, that read on light and dark pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.figure import Figure as Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.report import Section

_INK, _GRID = "#64748b", "#94a3b8"
_COLOURS: Final = ("#2563eb", "#d97706", "#16a34a", "#94a3b8")
_IN_FLIGHT: Final = 50
_ESSAY_BYTES: Final = 1_000


def draw_all(sections: Mapping[str, Section], directory: Path) -> list[Path]:
    """Write a picture of each part that has one and was measured; give their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update(
        {
            "svg.hashsalt": "bench",  # or the same figures give another file every time
            "svg.fonttype": "none",
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _GRID,
            "legend.labelcolor": _INK,
            "font.size": 9,
        }
    )
    drawn = []
    for name, (needed, draw) in _PICTURES.items():
        if needed <= sections.keys():
            path = directory / f"bench-{name}.svg"
            _save(path, lambda axes, draw=draw: draw(sections, axes))  # type: ignore[misc] # mypy: lambda defaults
            drawn.append(path)
    return drawn


def listed(directory: Path) -> str:
    """Give the pictures that there are as Markdown, for a page one folder above them."""
    return "\n\n".join(
        f"![{alt}]({directory.name}/bench-{name}.svg)"
        for name, alt in _ALT.items()
        if (directory / f"bench-{name}.svg").exists()
    )


def _save(path: Path, draw: Callable[[Axes], None]) -> None:
    picture = Picture(figsize=(7.5, 2.8), layout="constrained")
    axes = picture.subplots()
    axes.tick_params(colors=_INK, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    picture.savefig(path, format="svg", transparent=True, metadata={"Date": None})


def _latency(sections: Mapping[str, Section], axes: Axes) -> None:
    hundredths = range(1, 100)
    curves = sections["latency"].curves.items()
    for (name, added_ms), colour in zip(curves, _COLOURS, strict=False):
        axes.plot(added_ms, hundredths, label=name, color=colour, linewidth=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(visible=True, which="both", axis="x", color=_GRID, alpha=0.25)
    axes.set_xlabel("milliseconds added to the provider's time")
    axes.set_ylabel("% of requests")
    axes.set_title("Added latency: so many in a hundred are under", loc="left")
    axes.legend(frameon=False, loc="lower right")


def _cpu(sections: Mapping[str, Section], axes: Axes) -> None:
    mock = next(
        row
        for row in sections["cpu"].rows
        if (row["essay bytes"], row["in flight"]) == (_ESSAY_BYTES, _IN_FLIGHT)
    )
    http = next(row for row in sections["http"].rows if row["essay bytes"] == _ESSAY_BYTES)
    names = ("a aiokafka", "b Faust", "c worker", "d aiokafka + httpx", "e worker")
    shown = dict(zip(names, ("", "", "", "", "e worker, HTTP"), strict=True))
    values = {shown[name] or name: float((mock | http)[name]) for name in names}
    _bars(axes, values, "CPU, microseconds a comparison (1 kB an essay, 50 in flight)")


def _throughput(sections: Mapping[str, Section], axes: Axes) -> None:
    rows = sections["throughput"].rows
    _grouped(
        axes,
        [f"{row['calls']}, {row['in flight']} in flight" for row in rows],
        {name: [float(row[name]) for row in rows] for name in ("one worker", "two workers")},
    )
    axes.set_title("Comparisons a second", loc="left")


def _memory(sections: Mapping[str, Section], axes: Axes) -> None:
    rows = sections["memory"].rows
    values = {f"{row['calls']}, {row['requests come']}": float(row["RSS MB"]) for row in rows}
    _bars(axes, values, "Resident memory with 2,000 calls in flight, MB")


def _bars(axes: Axes, values: Mapping[str, float], title: str) -> None:
    ours = [_COLOURS[0] if "aiokafka" not in n and "Faust" not in n else _GRID for n in values]
    bars = axes.barh(list(values), list(values.values()), color=ours, height=0.65)
    axes.bar_label(bars, [f"{value:,.0f}" for value in values.values()], padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.get_xaxis().set_visible(False)
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left")


def _grouped(axes: Axes, names: Sequence[str], values: Mapping[str, Sequence[float]]) -> None:
    height = 0.8 / len(values)
    for number, ((label, column), colour) in enumerate(zip(values.items(), _COLOURS, strict=False)):
        places = [index + number * height for index in range(len(names))]
        bars = axes.barh(places, column, height=height * 0.9, color=colour, label=label)
        axes.bar_label(bars, [f"{value:,.0f}" for value in column], padding=4)
    axes.set_yticks([index + height * (len(values) - 1) / 2 for index in range(len(names))], names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.get_xaxis().set_visible(False)
    axes.spines[:].set_visible(False)
    axes.legend(frameon=False, loc="lower right")


_PICTURES: Final[dict[str, tuple[set[str], Callable[[Mapping[str, Section], Axes], None]]]] = {
    "latency": ({"latency"}, _latency),
    "cpu": ({"cpu", "http"}, _cpu),
    "throughput": ({"throughput"}, _throughput),
    "memory": ({"memory"}, _memory),
}
"""By name: the parts that a picture needs, and who draws it."""

_ALT: Final = {
    "latency": "Curves of the time added to the provider's, at half load without Redis and with "
    "it, and with 2,000 calls in flight",
    "cpu": "Bars of the CPU of one comparison: aiokafka, Faust and the worker with the mock; "
    "aiokafka with httpx and the worker over HTTP",
    "throughput": "Bars of the comparisons a second of one worker and of two, with the mock and "
    "over HTTP, 50 and 500 in flight",
    "memory": "Bars of resident memory with 2,000 calls in flight, with the mock and over HTTP",
}
