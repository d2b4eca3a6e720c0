"""Results as consumers in the field know them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from llm_worker.contracts.documents.examples import load_examples
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.result import LLMComparisonResultV1

if TYPE_CHECKING:
    from llm_worker.client.submission import Submission

_GOLDEN = {"verdict": "comparison_result", "error": "comparison_result_error"}


def golden_result(name: str, **changes: object) -> LLMComparisonResultV1:
    """Read a golden result, verdict or error, with `changes` laid over its fields."""
    return LLMComparisonResultV1.model_validate(_wire(_GOLDEN[name]) | changes)


@cache
def _wire(name: str) -> dict[str, Any]:
    example = next(example for example in load_examples() if example.name == name)
    assert example.data is not None
    return example.data


def result_record(submission: Submission, event_id: UUID | None = None) -> bytes:
    """Give a verdict on a request, as the value of its record; `event_id` is the result's."""
    result = golden_result(
        "verdict",
        request_id=str(submission.event_id),
        correlation_id=submission.joined_by,
    )
    envelope = EventEnvelope[LLMComparisonResultV1](
        event_id=event_id or uuid4(),
        event_type="huleedu.llm_provider.comparison_result.v1",
        event_timestamp=result.completed_at,
        source_service="llm-worker",
        correlation_id=submission.joined_by,
        data=result,
    )
    return envelope.model_dump_json().encode()
