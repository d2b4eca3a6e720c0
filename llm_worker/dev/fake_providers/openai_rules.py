"""What OpenAI's chat API objects to in a call, and the models that it knows.

Efforts by model: live probes in BerriAI/litellm-docs#1173 and UKGovernmentBEIS/inspect_ai#5254.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llm_worker.dev.fake_providers.schemas import schema_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    Body = Mapping[str, Any]

_FIELDS: Final = frozenset(
    {
        *("model", "messages", "audio", "frequency_penalty", "function_call", "functions"),
        *("logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "metadata"),
        *("modalities", "moderation", "n", "parallel_tool_calls", "prediction"),
        *("presence_penalty", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier"),
        *("seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature"),
        *("tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"),
        *("web_search_options",),
    }
)
_ROLES: Final = frozenset({"developer", "system", "user", "assistant", "tool", "function"})
_VERBOSITIES: Final = frozenset({"low", "medium", "high", None})
_SCHEMA_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEFAULTS: Final = {"temperature": 1, "top_p": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """An error as the API words it; `kind` is its `type`."""

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The reasoning efforts a model takes, none if it does not reason, and the one by default."""

    efforts: tuple[str, ...] = ()
    default: str = "none"


_NO_REASONING = Traits()
_ALWAYS = Traits(efforts=("low", "medium", "high", "xhigh"), default="medium")
_SIX = Traits(efforts=("none", "low", "medium", "high", "xhigh"), default="medium")
_FIVE_POINT = Traits(efforts=("none", "low", "medium", "high", "xhigh"))
_FIVE = Traits(efforts=("minimal", "low", "medium", "high"), default="medium")
_O = Traits(efforts=("low", "medium", "high"), default="medium")

MODELS: Final[dict[str, Traits]] = {
    **dict.fromkeys(("gpt-6-astra", "gpt-6.2-astra", "gpt-6.1-sol", "gpt-6.2-sol"), _ALWAYS),
    **dict.fromkeys(("gpt-6.1-terra", "gpt-6-sol", "gpt-6-luna"), _SIX),
    **dict.fromkeys(("gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.5"), _FIVE_POINT),
    **dict.fromkeys(("gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano"), _FIVE_POINT),
    **dict.fromkeys(("gpt-5.2", "gpt-5.1"), _FIVE_POINT),
    **dict.fromkeys(("gpt-5", "gpt-5-mini", "gpt-5-nano"), _FIVE),
    **dict.fromkeys(("gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini"), _NO_REASONING),
    "o3": _O,
}


def objection(body: Any) -> Objection | None:  # noqa: ANN401 - whatever was sent
    """Say what the API finds wrong with a body; None: nothing."""
    if not isinstance(body, dict):
        return Objection(status=400, message="We could not parse the JSON body of your request.")
    for required in ("model", "messages"):
        if not body.get(required):
            return _invalid(
                f"Missing required parameter: '{required}'.", required, "missing_required_parameter"
            )
    if unknown := body.keys() - _FIELDS:
        name = min(unknown)
        return _invalid(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    if body["model"] not in MODELS:
        return no_such_model(body["model"])
    return _messages_objection(body) or _model_objection(body) or _format_objection(body)


def no_such_model(model: str) -> Objection:
    """Say that there is no such model."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return Objection(status=404, message=message, code="model_not_found")


def effort_of(body: Body) -> str:
    """Return the effort that a call without objections is answered with."""
    return body.get("reasoning_effort") or MODELS[body["model"]].default


def _messages_objection(body: Body) -> Objection | None:
    for number, message in enumerate(body["messages"]):
        role = message.get("role")
        if role not in _ROLES:
            return _invalid(
                f"Invalid value: '{role}'.", f"messages[{number}].role", "invalid_value"
            )
    return None


def _model_objection(body: Body) -> Objection | None:
    traits = MODELS[body["model"]]
    effort, verbosity = body.get("reasoning_effort"), body.get("verbosity")
    takes = _VERBOSITIES if traits.efforts else {"medium", None}
    if verbosity not in takes:
        message = f"Unsupported value: 'verbosity' does not support '{verbosity}' with this model."
        return _invalid(message, "verbosity", "unsupported_value")
    if effort is not None and not traits.efforts:
        return _unsupported("reasoning_effort")
    if effort is not None and effort not in traits.efforts:
        return _invalid(
            f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model. "
            f"Supported values are: {', '.join(map(repr, traits.efforts))}.",
            "reasoning_effort",
            "unsupported_value",
        )
    if traits.efforts and body.get("max_tokens") is not None:
        return _unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
    return _sampling_objection(body)


def _sampling_objection(body: Body) -> Objection | None:
    if effort_of(body) == "none":
        return None
    if body.get("top_logprobs") is not None:
        return _unsupported("top_logprobs")
    for name, default in _DEFAULTS.items():
        value = body.get(name)
        if value is not None and value != default:
            return _invalid(
                f"Unsupported value: '{name}' does not support {value} with this model. "
                f"Only the default ({default}) value is supported.",
                name,
                "unsupported_value",
            )
    return None


def _format_objection(body: Body) -> Objection | None:
    wanted = body.get("response_format")
    if wanted is None or wanted.get("type") in {"text", "json_object"}:
        return None
    given = wanted.get("json_schema") or {}
    name, schema = given.get("name"), given.get("schema")
    where = "response_format.json_schema"
    if wanted.get("type") != "json_schema":
        return _invalid("Invalid value.", "response_format.type", "invalid_value")
    if not name or not _SCHEMA_NAME.fullmatch(name):
        return _invalid(f"Invalid '{where}.name'.", f"{where}.name", "invalid_value")
    fault = given.get("strict") and schema_fault(schema or {}, all_required=True)
    if fault:
        message = f"Invalid schema for response_format '{name}': In context=(), {fault}."
        return _invalid(message, "response_format", "invalid_json_schema")
    return None


def _unsupported(name: str, remedy: str = "") -> Objection:
    message = f"Unsupported parameter: '{name}' is not supported with this model.{remedy}"
    return _invalid(message, name, "unsupported_parameter")


def _invalid(message: str, param: str, code: str) -> Objection:
    return Objection(status=400, message=message, param=param, code=code)
