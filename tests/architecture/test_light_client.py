"""Who asks for comparisons must not install a worker."""

from __future__ import annotations

import subprocess
import sys

LIGHT = {
    *("aiokafka", "async_timeout", "cramjam", "packaging"),
    *("pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"),
    *("orjson", "yaml"),
}
_LIST_MODULES = """
import sys
import llm_worker.client
from llm_worker.client import ComparisonClient
ComparisonClient("nobody:9092")
for name, module in sorted(sys.modules.items()):
    if "site-packages" in (getattr(module, "__file__", None) or "") and "." not in name:
        print(name)
"""


def test_client_loads_nothing_but_its_few_libraries() -> None:
    loaded = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", _LIST_MODULES], check=True, capture_output=True, text=True
    ).stdout.split()

    assert {name for name in loaded if not name.startswith("_")} <= LIGHT
    assert "aiokafka" in loaded
