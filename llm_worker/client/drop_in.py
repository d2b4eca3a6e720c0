"""Stands in for the provider objects that callers have within their own process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from llm_worker.client.judge import DEFAULT_TIMEOUT_S, Wishes, new_request
from llm_worker.client.prompts import split_prompt

if TYPE_CHECKING:
    from llm_worker.client.judge import Judge
    from llm_worker.client.judgement import Judgement


class PromptProvider:
    """Asks a judge with one prompt that holds everything.

    Args:
        judge: Whom to ask; whoever made it closes it.
        timeout_s: Seconds that one comparison may take.
        split: Whether the essays are looked for in the prompt (`split_prompt`). A prompt in which
            they are not found goes as it is.
        closing: The words with which every prompt ends after Essay B, see `split_prompt`.
        wishes: What every comparison is asked with: organization_id, user_id, metadata, and what
            else `Judge.compare` takes. What a call says itself holds for that call.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        split: bool = True,
        closing: str | None = None,
        **wishes: Unpack[Wishes],
    ) -> None:
        self._judge = judge
        self._timeout_s = timeout_s
        self._split = split
        self._closing = closing
        self._wishes = wishes

    async def generate_comparison(
        self,
        user_prompt: str,
        model_override: str | None = None,
        temperature_override: float | None = None,
        system_prompt_override: str | None = None,
    ) -> dict[str, Any]:
        """Ask for one verdict; the dict is as the body of an HTTP answer.

        `winner` is "Essay A" or "Essay B", `confidence` 1 (unsure) to 5 (sure).

        Raises:
            ComparisonError: There is no verdict; the leaf of its code.
            ClientError: It cannot be asked, or nothing came in time.
        """
        found = split_prompt(user_prompt, closing=self._closing) if self._split else None
        wishes = self._wishes.copy()
        wishes["prompt"] = found.base if found else user_prompt
        if model_override is not None:
            wishes["model"] = model_override
        if temperature_override is not None:
            wishes["temperature"] = temperature_override
        if system_prompt_override is not None:
            wishes["system_prompt"] = system_prompt_override
        essays = (found.essay_a, found.essay_b) if found else (None, None)
        request = new_request(*essays, **wishes)
        return _answer(await self._judge.judge(request, timeout_s=self._timeout_s))


def _answer(judgement: Judgement) -> dict[str, Any]:
    cost_usd = judgement.cost_usd
    return {
        "winner": judgement.winner.value,
        "justification": judgement.justification,
        "confidence": judgement.confidence,
        "provider": judgement.provider.value,
        "model": judgement.model,
        "response_time_ms": judgement.response_time_ms,
        "cached": judgement.cached,
        "token_usage": judgement.token_usage.model_dump(),
        "cost_estimate": float(cost_usd or 0),
        "cost_known": cost_usd is not None,
        "correlation_id": str(judgement.correlation_id),
        "trace_id": judgement.trace_id,
        "metadata": dict(judgement.metadata),
    }
