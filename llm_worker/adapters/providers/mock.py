"""The mock provider: verdicts that cost nothing and depend on a seed alone."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from llm_worker.adapters.providers.mock_judge import Dice, judge, split_essays
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import (
    MalformedAnswerError,
    ProviderDownError,
    ProviderTimeoutError,
    RateLimitedError,
)
from llm_worker.domain.verdict import Billing, CallFacts, Completion, Usage

if TYPE_CHECKING:
    from pathlib import Path

    from llm_worker.application.ports import ModelCatalog
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest

_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MockBehaviour:
    """How the mock behaves. Rates are shares from 0 to 1; `position_bias` from -1 to 1."""

    seed: int = 42
    error_rate: float = 0.05
    malformed_rate: float = 0.0
    position_bias: float = 0.0
    latency_ms: int = 0
    journal: Path | None = None


class MockProvider:
    """Judges by a latent quality per essay; same seed, request and attempt: same answer."""

    name = ProviderName.MOCK

    def __init__(
        self,
        behaviour: MockBehaviour,
        *,
        default_model: str,
        timeout_s: float,
        models: ModelCatalog,
    ) -> None:
        self._behaviour = behaviour
        self.default_model = default_model
        self.timeout_s = timeout_s
        self.models = models

    async def judge(
        self, request: ComparisonRequest, attempt: Attempt, limit_s: float
    ) -> Completion:
        """Draw one verdict.

        Raises:
            ProviderDownError: by `error_rate`; not billed.
            RateLimitedError: by `error_rate`; not billed.
            MalformedAnswerError: by `malformed_rate`; billed.
            ProviderTimeoutError: its latency is more than `limit_s`; may have been billed.
        """
        behaviour = self._behaviour
        if behaviour.journal is not None:
            _note_call(behaviour.journal, request, attempt)
        if behaviour.latency_ms:
            await _take_time(behaviour.latency_ms / 1000, limit_s)
        asked = request.asked
        fingerprint = f"{request.prompt.sha256}/{asked.replicate}/{attempt.number}"
        dice = Dice.throw(behaviour.seed, fingerprint)
        _fail_by_chance(dice.error, behaviour.error_rate)
        essay_a, essay_b = asked.essay_a, asked.essay_b
        if essay_a is None or essay_b is None:
            essay_a, essay_b = split_essays(asked.user_prompt)
        verdict = judge(essay_a, essay_b, dice, behaviour.position_bias)
        usage = Usage(
            prompt_tokens=len(request.prompt.text) // _CHARACTERS_PER_TOKEN,
            completion_tokens=len(verdict.justification) // _CHARACTERS_PER_TOKEN,
        )
        model = attempt.target.model
        billing = Billing(usage=usage, cost_usd=self.models.cost_usd(model, usage))
        if dice.malformed < behaviour.malformed_rate:
            raise MalformedAnswerError(
                "the mock answered with no verdict", answer=verdict.justification, billing=billing
            )
        return Completion(verdict=verdict, model=model, billing=billing)

    async def probe(self, limit_s: float) -> None:
        """Answer at once: the mock is always there."""

    async def aclose(self) -> None:
        """Have nothing to close."""


async def _take_time(seconds: float, limit_s: float) -> None:
    await asyncio.sleep(min(seconds, max(0.0, limit_s)))
    if seconds > limit_s:
        raise ProviderTimeoutError(
            f"the mock did not answer within {limit_s:.1f} s", billing=Billing()
        )


def _fail_by_chance(roll: float, error_rate: float) -> None:
    if roll < error_rate / 2:
        raise ProviderDownError("the mock is overloaded", facts=CallFacts(http_status=503))
    if roll < error_rate:
        raise RateLimitedError(
            "the mock limits the rate", facts=CallFacts(http_status=429), retry_after_s=1.0
        )


def _note_call(journal: Path, request: ComparisonRequest, attempt: Attempt) -> None:
    line = orjson.dumps(
        {
            "request_id": request.request_id,
            "attempt_id": attempt.attempt_id,
            "prompt_sha256": request.prompt.sha256,
            "pid": os.getpid(),
            "at": attempt.started_at,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
    # One write of one line: several workers share the file, and a kill leaves no half line.
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
