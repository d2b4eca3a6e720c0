"""How a trial of a provider ended, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_worker.cli.wording import plain_usd
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.printable import printable
from llm_worker.domain.verdict import wire_confidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_worker.domain.outcome import FinishedAttempt
    from llm_worker.domain.verdict import Billing, Completion


def trial_in_words(trial: FinishedAttempt) -> str:
    """Say what came back; an error takes one line."""
    ending = trial.ending
    if isinstance(ending, ProviderError):
        return printable(f"{ending.code}: {ending.message}{_beside(ending)}")
    return "\n".join(printable(f"{what:<14}  {words}") for what, words in _facts(trial, ending))


def trial_as_json(trial: FinishedAttempt) -> dict[str, Any]:
    """Give a program what came back; money as decimal text, what is unknown as null."""
    target, ending, billing = trial.attempt.target, trial.ending, trial.billing
    cost_usd = billing.cost_usd if billing else None
    shared = {
        "success": not isinstance(ending, ProviderError),
        "provider": target.provider,
        "model": target.model,
        "is_billed": billing is not None,
        "cost_usd": None if cost_usd is None else plain_usd(cost_usd),
        "token_usage": billing.usage.counts() if billing else {},
        "response_time_ms": trial.response_time_ms,
        "provider_request_id": ending.facts.provider_request_id,
        "adjustments": ending.facts.adjustments,
    }
    if isinstance(ending, ProviderError):
        return shared | {
            "error_code": ending.code,
            "message": ending.message,
            "http_status": ending.facts.http_status,
            "retry_after_s": ending.retry_after_s,
        }
    verdict = ending.verdict
    return shared | {
        "model": ending.model,
        "winner": verdict.winner,
        "justification": verdict.justification,
        "confidence": wire_confidence(verdict.confidence),
    }


def _facts(trial: FinishedAttempt, completion: Completion) -> Iterable[tuple[str, str]]:
    verdict, usage = completion.verdict, completion.billing.usage
    yield "verdict", f"{verdict.winner}, confidence {wire_confidence(verdict.confidence):.1f} of 5"
    yield "why", " ".join(verdict.justification.split())
    yield "judged by", f"{trial.attempt.target.provider}, {completion.model}"
    yield "tokens", f"{_count(usage.prompt_tokens)} in, {_count(usage.completion_tokens)} out"
    yield "cost", _cost(completion.billing)
    yield "time", f"{trial.response_time_ms} ms"
    yield "request id", completion.facts.provider_request_id or "none was given"
    for words in completion.facts.adjustments:
        yield "adjusted", words


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else str(tokens)


def _cost(billing: Billing) -> str:
    return "unknown" if billing.cost_usd is None else f"USD {plain_usd(billing.cost_usd)}"


def _beside(error: ProviderError) -> str:
    """Say what one needs for the provider's support, and what was paid."""
    facts = [f"request id {error.facts.provider_request_id}"] * bool(
        error.facts.provider_request_id
    )
    if error.billing is not None:
        facts.append(f"cost {_cost(error.billing)}")
    return f" ({', '.join(facts)})" if facts else ""
