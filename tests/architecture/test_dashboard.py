"""deploy/grafana: what the dashboard asks for is there, and it says what it shows."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support import debian
from tests.support.promql import known_series, unknown_names

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "llm-worker.json"
_DASHBOARD: dict[str, Any] = json.loads(_FILE.read_text("utf-8"))
_PANELS: list[dict[str, Any]] = [each for each in _DASHBOARD["panels"] if each["type"] != "row"]
_OF_GRAFANA = {"__rate_interval"}
_EACH_PANEL = pytest.mark.parametrize("panel", _PANELS, ids=lambda panel: panel["title"])


@_EACH_PANEL
def test_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]


@_EACH_PANEL
def test_panel_asks_for_metrics_labels_and_values_that_there_are(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    series = known_series()
    for target in panel["targets"]:
        assert unknown_names(target["expr"], series) == []


def test_titles_and_ids_of_panels_are_unique_and_none_covers_another() -> None:
    panels = _DASHBOARD["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    assert len({each["title"] for each in panels}) == len(panels)
    for one, other in combinations((each["gridPos"] for each in panels), 2):
        assert not (_overlap(one, other, "x", "w") and _overlap(one, other, "y", "h"))
    assert all(each["gridPos"]["x"] + each["gridPos"]["w"] <= 24 for each in panels)


def test_only_the_chosen_data_source_is_asked() -> None:
    sources = list(_values_of("datasource", _DASHBOARD))
    assert len(sources) > len(_PANELS)
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_every_variable_is_defined_and_used() -> None:
    defined = {each["name"] for each in _DASHBOARD["templating"]["list"]}
    used = {
        name
        for text in _texts(_DASHBOARD)
        for name in re.findall(r"\$\{?(\w+)", text)
        if name != "__all"
    }
    assert used - _OF_GRAFANA == defined


def test_expressions_are_valid(tmp_path: Path) -> None:
    promtool = debian.command("promtool", "prometheus")
    rules = [
        {"record": f"panel:{number}", "expr": text.replace("$__rate_interval", "1m")}
        for number, text in enumerate(_values_of("expr", _DASHBOARD))
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")
    done = subprocess.run(  # noqa: S603 - our own command
        [*promtool, "check", "rules", str(file)], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def _overlap(one: dict[str, int], other: dict[str, int], start: str, size: str) -> bool:
    return one[start] < other[start] + other[size] and other[start] < one[start] + one[size]


def _values_of(key: str, node: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _values_of(key, each)


def _texts(node: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _texts(each)
