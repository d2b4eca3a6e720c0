"""The Chat Completions format, which OpenAI, OpenRouter and self-hosted servers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.providers.dialect import Reply, Stop
from llm_worker.adapters.providers.fields import (
    code_at,
    count_at,
    number_in,
    object_at,
    objects_at,
    part_at,
    text_at,
    tier_at,
    unless_odd,
)
from llm_worker.adapters.providers.turns import turns_of
from llm_worker.adapters.providers.waits import duration_s
from llm_worker.domain.judging import VERDICT_NAME, VERDICT_SCHEMA
from llm_worker.domain.verdict import LimitKind, ReportedLimit, Usage

if TYPE_CHECKING:
    from llm_worker.adapters.providers.dialect import Headers, JsonObject
    from llm_worker.domain.judging import Question

PATH: Final = "/chat/completions"

RESPONSE_FORMAT: Final = {
    "type": "json_schema",
    "json_schema": {"name": VERDICT_NAME, "strict": True, "schema": VERDICT_SCHEMA},
}

_STOPS: Final = {
    "length": Stop.LENGTH,
    "content_filter": Stop.FILTERED,
    "error": Stop.FAILED,
}
"""Every other reason, also none and one that is new, ends an answer that may be whole."""

_STANDARD_TIERS: Final = frozenset({"default", "standard", "auto"})


def key_header(api_key: str | None) -> dict[str, str]:
    """Give the header that carries the key; without a key there is none."""
    return {} if api_key is None else {"authorization": f"Bearer {api_key}"}


def messages_of(question: Question, *, system_role: str) -> list[dict[str, Any]]:
    """Put the question into messages, the instructions first."""
    turns = [
        {"role": "user" if turn.is_ours else "assistant", "content": turn.text}
        for turn in turns_of(question)
    ]
    return [{"role": system_role, "content": question.system}, *turns]


def read_completion(body: JsonObject, *, request_id: str | None) -> Reply:
    """Read the one choice of a completion.

    Raises:
        LookupError, TypeError: it has no choice.
    """
    choice = body["choices"][0]
    if not isinstance(choice, dict):
        raise TypeError("the choice is no object")
    message = object_at(choice, "message")
    reason = code_at(choice, "finish_reason")
    refused = text_at(message, "refusal") is not None
    tier = tier_at(body, "service_tier")
    return Reply(
        stop=Stop.REFUSAL if refused else _STOPS.get(reason or "", Stop.DONE),
        text=_text_of(message),
        model=text_at(body, "model"),
        usage=usage_of(object_at(body, "usage")),
        tier=None if tier in _STANDARD_TIERS else tier,
        provider_request_id=request_id,
        response_id=code_at(body, "id"),
        detail="refusal" if refused else reason or "",
    )


@unless_odd
def usage_of(usage: JsonObject) -> Usage:
    """Read the usage: input includes what was cached, output what was reasoned."""
    of_prompt = part_at(usage, "prompt_tokens_details")
    prompt, answered = count_at(usage, "prompt_tokens"), count_at(usage, "completion_tokens")
    total = count_at(usage, "total_tokens")
    if total is not None and total != (prompt or 0) + (answered or 0):
        answered = None  # some gateways leave out what was reasoned
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=answered,
        cache_read_tokens=count_at(of_prompt, "cached_tokens"),
        cache_write_tokens=count_at(of_prompt, "cache_write_tokens"),
        reasoning_tokens=count_at(part_at(usage, "completion_tokens_details"), "reasoning_tokens"),
    )


def read_limits(headers: Headers) -> tuple[ReportedLimit, ...]:
    """Read `x-ratelimit-*` as OpenAI sends them, with resets as Go durations."""
    return tuple(
        ReportedLimit(
            kind=kind,
            per_minute=number_in(headers.get(f"x-ratelimit-limit-{kind}")),
            remaining=number_in(headers.get(f"x-ratelimit-remaining-{kind}")),
            reset_s=duration_s(headers.get(f"x-ratelimit-reset-{kind}")),
        )
        for kind in LimitKind
        if f"x-ratelimit-limit-{kind}" in headers
    )


def _text_of(message: JsonObject) -> str:
    """Give the content, a string or parts by their type, or the arguments of the verdict's tool."""
    calls = [object_at(call, "function") for call in objects_at(message, "tool_calls")]
    verdicts = [call for call in calls if call.get("name") == VERDICT_NAME]
    if verdicts:  # two of them in a row are not one object, and so no verdict
        return "".join(text_at(verdict, "arguments") or "" for verdict in verdicts)
    content = text_at(message, "content")
    if content is not None:
        return content
    parts = objects_at(message, "content")
    return "".join(text_at(part, "text") or "" for part in parts if part.get("type") == "text")
