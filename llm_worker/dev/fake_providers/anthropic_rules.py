"""What Anthropic's API objects to in a call, in its own words as far as they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llm_worker.dev.fake_providers.anthropic_models import MODELS, Thinking
from llm_worker.dev.fake_providers.schemas import schema_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.dev.fake_providers.anthropic_models import Traits
    from llm_worker.dev.fake_providers.exchange import Call

    Body = Mapping[str, Any]

_CURRENT: Final = "2026-10-21"
_VERSIONS: Final = frozenset({"2023-01-01", "2023-06-01", _CURRENT})
_SAMPLING: Final = frozenset({"temperature", "top_p", "top_k"})
_FIELDS: Final = frozenset(
    {
        *("model", "max_tokens", "messages", "system", "metadata", "stop_sequences", "stream"),
        *("output_config", "output_format", "thinking", "tools", "tool_choice", "container"),
        *("cache_control", "diagnostics", "inference_geo", "service_tier", "speed"),
        *("user_profile_id", "workspace_id"),
    }
)
_EFFORTS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})
_EFFORTS_WITHOUT_THINKING: Final = frozenset({"low", "medium", "high", None})
_LEAST_BUDGET: Final = 1024


def version_fault(version: str | None) -> str | None:
    """Judge the header `anthropic-version`."""
    if not version:
        return "anthropic-version: header is required"
    return (
        None if version in _VERSIONS else f'anthropic-version: "{version}" is not a valid version'
    )


def body_fault(call: Call) -> str | None:
    """Judge what holds for every model."""
    body = call.body
    if not isinstance(body, dict):
        return "The request body is not valid JSON"
    for required in ("model", "max_tokens", "messages"):
        if required not in body:
            return f"{required}: Field required"
    fields = _FIELDS
    if call.headers["anthropic-version"] != _CURRENT:
        fields |= _SAMPLING
    if unknown := body.keys() - fields:
        return f"{min(unknown)}: Extra inputs are not permitted"
    return _messages_fault(body) or _format_fault(body)


def model_fault(call: Call) -> str | None:
    """Judge what the named model does not take."""
    body, traits = call.body, MODELS[call.body["model"]]
    return (
        _thinking_fault(body, traits)
        or _effort_fault(body, traits)
        or _turn_fault(body, traits)
        or _sampling_fault(body, traits)
    )


def _messages_fault(body: Body) -> str | None:
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
        return "max_tokens: Input should be greater than or equal to 1"
    if not body["messages"]:
        return "messages: at least one message is required"
    for number, message in enumerate(body["messages"]):
        if message.get("role") not in {"user", "assistant", "system"}:
            return f"messages.{number}.role: Input should be 'user', 'assistant' or 'system'"
        if not message.get("content"):
            return f"messages.{number}: all messages must have non-empty content"
    return None


def _format_fault(body: Body) -> str | None:
    config = body.get("output_config") or {}
    if unknown := config.keys() - {"effort", "format", "task_budget"}:
        return f"output_config.{min(unknown)}: Extra inputs are not permitted"
    wanted = config.get("format")
    if wanted is None:
        return None
    if unknown := wanted.keys() - {"type", "schema"}:
        return f"output_config.format.{min(unknown)}: Extra inputs are not permitted"
    if wanted.get("type") != "json_schema" or "schema" not in wanted:
        return "output_config.format.schema: Field required"
    fault = schema_fault(wanted["schema"], all_required=False)
    return fault and f"output_config.format.schema: {fault}"


def _thinking_fault(body: Body, traits: Traits) -> str | None:
    thinking = body.get("thinking")
    if thinking is None:
        return None
    asked = thinking.get("type")
    if asked not in traits.takes:
        return f'"thinking.type.{asked}" is not supported for this model.'
    if asked != "enabled":
        return None
    budget = thinking.get("budget_tokens", 0)
    if budget < _LEAST_BUDGET:
        return "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
    return (
        "`max_tokens` must be greater than `thinking.budget_tokens`."
        * (budget >= body["max_tokens"])
        or None
    )


def _effort_fault(body: Body, traits: Traits) -> str | None:
    effort = (body.get("output_config") or {}).get("effort")
    if effort is None:
        return None
    if not traits.effort:
        return "This model does not support the effort parameter."
    if effort not in _EFFORTS:
        return "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"
    off = (body.get("thinking") or {}).get("type") == "disabled"
    if off and traits.thinking is Thinking.BY_DEFAULT and effort not in _EFFORTS_WITHOUT_THINKING:
        return f'"thinking.type.disabled" is not supported with effort {effort} for this model.'
    return None


def _turn_fault(body: Body, traits: Traits) -> str | None:
    if body["messages"][-1]["role"] == "assistant" and not traits.prefill:
        return (
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    forced = (body.get("tool_choice") or {}).get("type") in {"any", "tool"}
    if forced and traits.thinks((body.get("thinking") or {}).get("type")):
        return "Thinking may not be enabled when tool_choice forces tool use."
    return None


def _sampling_fault(body: Body, traits: Traits) -> str | None:
    refused = () if traits.sampling else sorted(_SAMPLING & body.keys())
    for name in refused:
        if (name, body[name]) not in {("temperature", 1), ("top_p", 1)}:
            return f"{name}: this model takes the default value only"
    return None
