"""What an answer's usage says that a call cost, read the plain way, beside the adapters' own."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.verdict import Usage

if TYPE_CHECKING:
    from llm_worker.adapters.providers.catalog import PricedModels

_MOST: Final = 10**9
_A, _G, _R = ProviderName.ANTHROPIC, ProviderName.GOOGLE, ProviderName.OPENROUTER


class NonsenseError(Exception):
    """A field holds what it cannot, so that nobody knows what the call cost."""


def cost_told(
    name: ProviderName, body: dict[str, Any], model: str, models: PricedModels
) -> Decimal | None:
    """Price an answer; None where it says too little, or nonsense."""
    try:
        usage = _part(body, "usageMetadata" if name is _G else "usage")
        if name is _R:
            return _charged(usage)
        counts = _USAGES.get(name, _chat)(usage)
        if name is _A and _is_free_refusal(body, counts):
            return Decimal(0)
        tier = _tier(name, body, usage)
    except NonsenseError:
        return None
    told = body.get("modelVersion" if name is _G else "model")
    model = told if isinstance(told, str) and told else model
    return models.cost_usd(model, counts, tier)


def _count(owner: dict[str, Any], name: str) -> int | None:
    found = owner.get(name)
    if found is None:
        return None
    if type(found) is not int or not 0 <= found < _MOST:
        raise NonsenseError
    return found


def _part(owner: dict[str, Any], name: str) -> dict[str, Any]:
    found = owner.get(name)
    if found is not None and not isinstance(found, dict):
        raise NonsenseError
    return found or {}


def _chat(usage: dict[str, Any]) -> Usage:
    of_prompt = _part(usage, "prompt_tokens_details")
    _count(_part(usage, "completion_tokens_details"), "reasoning_tokens")
    prompt, answered = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    is_whole = _count(usage, "total_tokens") in {None, (prompt or 0) + (answered or 0)}
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=answered if is_whole else None,
        cache_read_tokens=_count(of_prompt, "cached_tokens"),
        cache_write_tokens=_count(of_prompt, "cache_write_tokens"),
    )


def _anthropic(usage: dict[str, Any]) -> Usage:
    fresh = _count(usage, "input_tokens")
    read = _count(usage, "cache_read_input_tokens") or 0
    written = _count(usage, "cache_creation_input_tokens") or 0
    _count(_part(usage, "output_tokens_details"), "thinking_tokens")
    return Usage(
        prompt_tokens=None if fresh is None else fresh + read + written,
        completion_tokens=_count(usage, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=_count(_part(usage, "cache_creation"), "ephemeral_1h_input_tokens"),
    )


def _is_free_refusal(body: dict[str, Any], counts: Usage) -> bool:
    is_silent = body.get("content") == [] and counts.completion_tokens == 0
    if body.get("stop_reason") != "refusal" or not is_silent:
        return False
    details = body.get("stop_details")
    about = details.get("category") if isinstance(details, dict) else None
    return about not in ("bio", "frontier_llm", "reasoning_extraction")


def _google(usage: dict[str, Any]) -> Usage:
    prompt, total = _count(usage, "promptTokenCount"), _count(usage, "totalTokenCount")
    said = [_count(usage, name) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    # Zeros are left out, so the total alone tells one from a count that is missing.
    answered = sum(each or 0 for each in said)
    is_whole = prompt is not None and total is not None and prompt + answered == total
    is_known = is_whole if total is not None else said[0] is not None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=answered if is_known else None,
        cache_read_tokens=_count(usage, "cachedContentTokenCount"),
    )


_USAGES: Final = {_A: _anthropic, _G: _google}


def _charged(usage: dict[str, Any]) -> Decimal | None:
    cost, is_own = usage.get("cost"), usage.get("is_byok")
    if is_own is None or is_own is False:
        return None if cost is None else _amount(cost)
    # The company's own bill comes on top.
    details = usage.get("cost_details")
    upstream = details.get("upstream_inference_cost") if isinstance(details, dict) else None
    return _amount(cost) + _amount(upstream)


def _amount(told: object) -> Decimal:
    if type(told) not in (int, float):
        raise NonsenseError
    amount = Decimal(str(told))
    if not amount.is_finite() or (amount and not -11 <= amount.adjusted() < 12) or amount < 0:
        raise NonsenseError
    return amount


def _tier(name: ProviderName, body: dict[str, Any], usage: dict[str, Any]) -> str | None:
    if name in {_G, ProviderName.SELF_HOSTED}:
        return None
    if name is _A:
        return _anthropic_tier(usage)
    tier = _word(body, "service_tier")
    return None if tier in {"default", "standard", "auto"} else tier


def _anthropic_tier(usage: dict[str, Any]) -> str | None:
    speed, geo, tier = (_word(usage, name) for name in ("speed", "inference_geo", "service_tier"))
    if speed not in {None, "standard"}:
        return speed
    if geo not in {None, "global", "not_available"}:
        return geo
    return None if tier == "standard" else tier


def _word(owner: dict[str, Any], name: str) -> str | None:
    found = owner.get(name)
    if found is not None and not isinstance(found, str):
        raise NonsenseError
    return found
