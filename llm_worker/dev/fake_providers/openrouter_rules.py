"""What OpenRouter objects to in a call, itself or for the provider behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from llm_worker.dev.fake_providers.schemas import schema_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    Body = Mapping[str, Any]

_UPSTREAMS: Final = {
    "anthropic": "Anthropic",
    "deepseek": "DeepSeek",
    "google": "Google AI Studio",
    "meta-llama": "Together",
    "mistralai": "Mistral",
    "openai": "OpenAI",
    "qwen": "Alibaba",
    "x-ai": "xAI",
}
_UNKNOWN_MODEL: Final = "no-such-"
_WITHOUT_SAMPLING: Final = (
    *("anthropic/claude-fable", "anthropic/claude-mythos", "anthropic/claude-opus-5"),
    *("anthropic/claude-sonnet-5", "anthropic/claude-haiku-5", "openai/gpt-6", "openai/gpt-5"),
    "openai/o",
)
_SAMPLING: Final = frozenset({"temperature", "top_p", "top_k"})
_EFFORTS: Final = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
_LISTED: Final = ("anthropic/claude-haiku-5.5", "google/gemini-3.8-flash", "openai/gpt-6-luna")

KEY: Final[dict[str, Any]] = {
    "label": "sk-or-v1-fak...ake",
    "limit": None,
    "limit_remaining": None,
    "limit_reset": None,
    "include_byok_in_limit": False,
    "is_free_tier": False,
    "is_management_key": False,
    "is_provisioning_key": False,
    "creator_user_id": None,
    "expires_at": None,
    "allowed_data_regions": [],
    "budgets": [],
    "effective_budget": None,
    "organization_id": None,
    "workspace_id": None,
    "free_model_daily_requests": {"limit": 50, "remaining": 50, "used": 0},
    **dict.fromkeys(("usage", "usage_daily", "usage_weekly", "usage_monthly"), 0),
    **dict.fromkeys(("byok_usage", "byok_usage_daily", "byok_usage_weekly"), 0),
    "byok_usage_monthly": 0,
    "rate_limit": {"requests": -1, "interval": "10s", "note": "deprecated"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """An error as the API words it."""

    status: int
    message: str
    metadata: dict[str, Any] = field(default_factory=dict)


def objection(body: Any) -> Objection | None:  # noqa: ANN401 - whatever was sent
    """Say what the API finds wrong with a body; None: nothing. Unknown fields are ignored."""
    if not isinstance(body, dict):
        return Objection(status=400, message="Invalid JSON body")
    if not body.get("messages"):
        return Objection(status=400, message='Input required: specify "prompt" or "messages"')
    model = body.get("model") or ""
    vendor, _, name = model.partition("/")
    if not name or vendor.removeprefix("~") not in _UPSTREAMS:
        return Objection(status=400, message=f"{model} is not a valid model ID")
    if name.startswith(_UNKNOWN_MODEL):
        return Objection(status=404, message=f"No endpoints found for {model}.")
    return _routing_objection(body, model) or _upstream_objection(body, model)


def upstream(model: str) -> str:
    """Name the provider that serves a model."""
    return _UPSTREAMS[model.partition("/")[0].removeprefix("~")]


def reasons(body: Body) -> bool:
    """Say whether the model reasons."""
    effort = (body.get("reasoning") or {}).get("effort", body.get("reasoning_effort"))
    if effort is None:
        return bool(body["model"].startswith(_WITHOUT_SAMPLING))
    return bool(effort != "none")


def listing() -> dict[str, Any]:
    """Describe some models."""
    links = {"next": None}
    models = [_describe(model) for model in _LISTED]
    return {"data": models, "links": links, "total_count": len(models)}


def _routing_objection(body: Body, model: str) -> Objection | None:
    effort = (body.get("reasoning") or {}).get("effort")
    if effort is not None and effort not in _EFFORTS:
        return Objection(status=400, message="reasoning.effort: Invalid option")
    wants_all = (body.get("provider") or {}).get("require_parameters")
    if wants_all and _SAMPLING & body.keys() and model.startswith(_WITHOUT_SAMPLING):
        message = "No endpoints found that can handle the requested parameters."
        return Objection(status=404, message=message)
    return None


def _upstream_objection(body: Body, model: str) -> Objection | None:
    raw = _schema_fault(body)
    last_role = body["messages"][-1].get("role")
    if last_role == "assistant" and model.startswith("anthropic/claude"):
        raw = "This model does not support assistant message prefill."
    if raw is None:
        return None
    metadata = {"provider_name": upstream(model), "raw": raw}
    return Objection(status=400, message="Provider returned error", metadata=metadata)


def _schema_fault(body: Body) -> str | None:
    wanted = (body.get("response_format") or {}).get("json_schema") or {}
    if not wanted.get("strict"):
        return None
    return schema_fault(wanted.get("schema") or {}, all_required=True)


def _describe(model: str) -> dict[str, Any]:
    return {
        "id": model,
        "canonical_slug": model,
        "name": model,
        "created": 1_790_000_000,
        "context_length": 1_000_000,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": "0.000001", "completion": "0.000005"},
        "top_provider": {"is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "response_format", "structured_outputs"],
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": f"/api/v1/models/{model}/endpoints"},
    }
