"""What the three APIs have in common that speak OpenAI's chat completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llm_worker.dev.fake_providers.drafts import Asked, Stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.dev.fake_providers.drafts import Draft, Tokens

_FINISH_REASONS: Final = {
    Stop.DONE: "stop",
    Stop.LENGTH: "length",
    Stop.REFUSAL: "stop",
    Stop.FILTERED: "content_filter",
    Stop.UNFINISHED: "tool_calls",
}
_DECLINED: Final = "I'm sorry, but I can't help with that."


def asked(body: Mapping[str, Any], *, reasons: bool) -> Asked:
    """Read what a call asks of the model."""
    texts = [(message.get("role"), _text(message.get("content"))) for message in body["messages"]]
    wanted = (body.get("response_format") or {}).get("json_schema") or {}
    return Asked(
        prompt=next((text for role, text in texts if role == "user"), ""),
        characters=sum(len(text) for _role, text in texts),
        schema=wanted.get("schema"),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        reasons=reasons,
    )


def choice(answer: Draft) -> dict[str, Any]:
    """Render the one choice."""
    is_refused = answer.stop is Stop.REFUSAL
    return {
        "index": 0,
        "finish_reason": _FINISH_REASONS[answer.stop],
        "logprobs": None,
        "message": {
            "role": "assistant",
            "content": None if is_refused else answer.text,
            "refusal": _DECLINED if is_refused else None,
        },
    }


def usage(tokens: Tokens) -> dict[str, Any]:
    """Render the counts: totals, of which the details are parts."""
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.prompt + tokens.completion,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            "audio_tokens": 0,
        },
    }


def failed_choice() -> dict[str, Any]:
    """Render a choice that only says by its finish reason that the model failed."""
    message = {"role": "assistant", "content": "", "refusal": None}
    return {"index": 0, "finish_reason": "error", "logprobs": None, "message": message}


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""
