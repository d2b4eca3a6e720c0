"""From a request and its old result to the verdict that the cache may keep."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from llm_worker.contracts.request import CacheMode
from llm_worker.domain.cached import CachedVerdict
from llm_worker.domain.errors import WorkerError
from llm_worker.domain.model_names import is_model
from llm_worker.domain.request import read_uuid
from llm_worker.domain.verdict import (
    Billing,
    CallFacts,
    Completion,
    Usage,
    Verdict,
    own_confidence,
)

if TYPE_CHECKING:
    from llm_worker.application.routes import Routes
    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.contracts.vocabulary import Lane
    from llm_worker.domain.outcome import Target
    from llm_worker.domain.request import Prompt


class Unfit(StrEnum):
    """Why a verdict is not kept, in words; never a word of the request's."""

    BYPASS = "cache_mode is bypass"
    NO_TARGET = "the settings here have no provider and model for such a request"
    FAILED = "the result is an error"
    OTHER_PROMPT = "the result is of another prompt: prompt_sha256 differs"
    OTHER_TARGET = "the settings here send such a request to other providers or models"
    NO_PAYER = "a cached result without a correlation id in request_metadata.bought_by"
    CACHED = "the result came from the cache itself"
    NO_REQUEST = "its request is not in the request topics"
    NO_RESULT = "no result that this version knows"
    AMBIGUOUS = "different requests have its id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What there is to know of a request until its result comes; holds none of its texts."""

    fingerprint: str
    targets: tuple[Target, ...]
    prompt_sha256: str
    organization_id: str | None


def sought_by(
    asked: LLMComparisonRequestV1, prompt: Prompt, routes: Routes, lane: Lane
) -> Sought | Unfit:
    """Say what a request's result would be kept as, by the routing of today."""
    if asked.cache_mode is CacheMode.BYPASS:
        return Unfit.BYPASS
    plan = routes.plan(asked, lane=lane, prompt_bytes=prompt.size_bytes)
    if isinstance(plan, WorkerError):
        return Unfit.NO_TARGET
    return Sought(
        fingerprint=plan.fingerprint,
        targets=plan.route.targets,
        prompt_sha256=prompt.sha256,
        organization_id=asked.organization_id,
    )


def recalled(sought: Sought, result: LLMComparisonResultV1) -> CachedVerdict | Unfit:
    """Give the verdict of a result, with its justification as the caller saw it.

    Its cost is that of all attempts of the request; unknown for a result that was cached itself.
    """
    if result.winner is None or result.justification is None or result.confidence is None:
        return Unfit.FAILED
    said = result.request_metadata
    if said.get("prompt_sha256", sought.prompt_sha256) != sought.prompt_sha256:
        return Unfit.OTHER_PROMPT
    if not any(
        result.provider is target.provider and is_model(result.model, target.model)
        for target in sought.targets
    ):
        return Unfit.OTHER_TARGET
    bought_by = read_uuid(said.get("bought_by")) if result.cached else result.correlation_id
    if bought_by is None:
        return Unfit.NO_PAYER
    verdict = Verdict(
        winner=result.winner,
        justification=result.justification,
        confidence=own_confidence(result.confidence),
    )
    return CachedVerdict(
        provider=result.provider,
        completion=Completion(
            verdict=verdict,
            model=result.model,
            billing=Billing() if result.cached else _billing(result),
            facts=CallFacts(adjustments=_adjustments(said)),
        ),
        bought_by=bought_by,
        organization_id=sought.organization_id,
        bought_at=result.completed_at,
    )


def _billing(result: LLMComparisonResultV1) -> Billing:
    tokens = result.token_usage
    usage = Usage(
        prompt_tokens=tokens.prompt_tokens or None,
        completion_tokens=tokens.completion_tokens or None,
    )
    return Billing(
        usage=usage, cost_usd=Decimal(str(result.cost_estimate)) if result.cost_known else None
    )


def _adjustments(said: dict[str, Any]) -> tuple[str, ...]:
    adjustments = said.get("adjustments")
    if not isinstance(adjustments, list):
        return ()
    return tuple(words for words in adjustments if isinstance(words, str))
