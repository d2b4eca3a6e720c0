"""Results as consumers in the field know them."""

from __future__ import annotations

import json
from pathlib import Path

from llm_worker.contracts.result import LLMComparisonResultV1

_GOLDEN = Path(__file__).parents[1] / "schemas" / "golden" / "LLMComparisonResultV1"


def golden_result(name: str, **changes: object) -> LLMComparisonResultV1:
    """Read a golden payload, with `changes` laid over its fields."""
    wire = json.loads((_GOLDEN / f"{name}.json").read_text("utf-8"))["wire"]
    return LLMComparisonResultV1.model_validate(wire | changes)
