"""Endings without a verdict, as the health page lists them: codes and ids, never texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llm_worker.contracts.state import RecentFailure
from llm_worker.domain.outcome import Failed, Rejected

if TYPE_CHECKING:
    from llm_worker.domain.outcome import Ending

KEPT: Final = 50


def failure_of(ending: Ending) -> RecentFailure | None:
    """Describe an ending; None where it is no failure."""
    match ending:
        case Failed(request=request, target=target):
            return RecentFailure(
                at=ending.completed_at,
                kind="failed",
                error_code=ending.error.code,
                correlation_id=request.correlation_id,
                request_id=request.request_id,
                provider=target.provider,
                model=target.model,
                attempts=len(ending.attempts),
                dead_letter=True,
            )
        case Rejected():
            return RecentFailure(
                at=ending.completed_at,
                kind="rejected",
                error_code=ending.error.code,
                correlation_id=ending.correlation_id,
                request_id=ending.request_id,
                provider=None,
                model=None,
                attempts=0,
                dead_letter=ending.correlation_id is None,
            )
        case _:
            return None
