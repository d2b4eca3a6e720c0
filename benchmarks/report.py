"""Tables of figures, for the terminal, for docs/performance.md and for programs."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import psutil

Figure: TypeAlias = str | int | float
_LIBRARIES = ("faust-streaming", "mode-streaming", "aiokafka", "pydantic", "orjson")
_SMALL = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table; every row has the same columns. `remarks` stand under it.

    `curves` are for plots: by name, the values that 1, 2, ... 99 in a hundred are under.
    """

    title: str
    rows: list[dict[str, Figure]]
    remarks: list[str] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)


def machine() -> dict[str, Figure]:
    """Describe what the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*: (.+)", cpuinfo)
    return {
        "CPU": model[1] if model else platform.machine(),
        "cores": psutil.cpu_count() or 0,
        "memory GB": round(psutil.virtual_memory().total / 1e9),
        "Python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def render(section: Section) -> str:
    """Render a section as Markdown that is also readable as it is."""
    remarks = [f"- {remark}" for remark in section.remarks]
    parts = [f"### {section.title}", "", table(section), *([""] if remarks else []), *remarks, ""]
    return "\n".join(parts)


def table(section: Section) -> str:
    """Render a section's rows alone."""
    columns = list(section.rows[0])
    cells = [columns, *([_words(row[name]) for name in columns] for row in section.rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def put_into(path: Path, text: str, *, between: str = "figures") -> None:
    """Replace what stands between the markers of this name in a Markdown file."""
    begin, end = f"<!-- {between}: begin -->", f"<!-- {between}: end -->"
    page = path.read_text(encoding="utf-8")
    before, rest = page.split(begin)
    _, after = rest.split(end)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _words(figure: Figure) -> str:
    if not isinstance(figure, float):
        return str(figure)
    return f"{figure:.2f}" if abs(figure) < _SMALL else f"{figure:,.0f}"
