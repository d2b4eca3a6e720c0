"""What the Gemini API objects to in a call, and the models that it knows.

Thinking by model: ai.google.dev/gemini-api/docs/thinking and docs.cloud.google.com (the table of
levels). A last turn of the model's and sampling: langchain-ai/langchain-google#1897 and
ai.google.dev/gemini-api/docs/latest-model, which says that the generation after 3.x answers
sampling parameters with a 400; 3.6 to 3.8 pass over them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    Values = Mapping[str, Any]

_FIELDS: Final = frozenset(
    {
        *("contents", "systemInstruction", "generationConfig", "safetySettings", "tools"),
        *("toolConfig", "cachedContent", "serviceTier", "store", "continuationToken", "model"),
    }
)
_CONFIG_FIELDS: Final = frozenset(
    {
        *("responseJsonSchema", "responseSchema", "responseMimeType", "responseModalities"),
        *("candidateCount", "maxOutputTokens", "temperature", "topP", "topK", "seed"),
        *("stopSequences", "presencePenalty", "frequencyPenalty", "logprobs", "responseLogprobs"),
        *("thinkingConfig", "mediaResolution", "speechConfig", "responseFormat"),
        *("enableEnhancedCivicAnswers", "translationConfig"),
    }
)
_THINKING_FIELDS: Final = frozenset({"thinkingLevel", "thinkingBudget", "includeThoughts"})
_SCHEMA_FIELDS: Final = frozenset(
    {
        *("$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum"),
        *("items", "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf"),
        *("properties", "additionalProperties", "required", "propertyOrdering"),
    }
)
_SAMPLING: Final = frozenset({"temperature", "topP", "topK"})
_HOTTEST: Final = 2
_UNDERSCORE: Final = re.compile(r"_([a-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """What is wrong; `field` where the JSON itself is."""

    message: str
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How a model thinks: by itself, in which levels, down to which budget; and what else it takes.

    `prefill`: the last turn may be the model's. `sampling`: it takes a temperature, or ignores it.
    """

    by_default: bool = True
    levels: frozenset[str] = frozenset()
    least_budget: int = 0
    prefill: bool = True
    sampling: bool = True

    def thinks(self, config: Values) -> bool:
        """Say whether it thinks under this `thinkingConfig`."""
        budget = {camel(name): value for name, value in config.items()}.get("thinkingBudget")
        return self.by_default if budget is None else budget != 0


_FROM_LOW = frozenset({"LOW", "MEDIUM", "HIGH"})
_FROM_MINIMAL = _FROM_LOW | {"MINIMAL"}
_FOUR = Traits(levels=_FROM_LOW, least_budget=1, prefill=False, sampling=False)
_NEWER_FLASH = Traits(levels=_FROM_LOW, least_budget=1, prefill=False)
_NEW_FLASH = Traits(levels=_FROM_MINIMAL, least_budget=1, prefill=False)
_FLASH = Traits(levels=_FROM_MINIMAL, least_budget=1)
_PRO = Traits(levels=_FROM_LOW, least_budget=1)
MODELS: Final[dict[str, Traits]] = {
    **dict.fromkeys(("gemini-4-argon", "gemini-4-carbon", "gemini-4-hydrogen"), _FOUR),
    **dict.fromkeys(("gemini-3.8-flash", "gemini-3.7-flash", "gemini-flash-latest"), _NEWER_FLASH),
    **dict.fromkeys(("gemini-3.6-flash", "gemini-3.5-flash-lite"), _NEW_FLASH),
    "gemini-flash-lite-latest": _NEW_FLASH,
    **dict.fromkeys(("gemini-3.5-flash", "gemini-3.1-flash-lite"), _FLASH),
    "gemini-3-flash-preview": _FLASH,
    **dict.fromkeys(("gemini-3.1-pro-preview", "gemini-pro-latest"), _PRO),
    "gemini-2.5-pro": Traits(least_budget=128),
    "gemini-2.5-flash": Traits(),
    "gemini-2.5-flash-lite": Traits(by_default=False),
}


def camel(name: str) -> str:
    """Write a field's name as protobuf's JSON does; it reads both ways of writing."""
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)


def objection(body: Any, traits: Traits) -> Objection | None:  # noqa: ANN401 - whatever was sent
    """Say what the API finds wrong with a body; None: nothing."""
    if not isinstance(body, dict):
        return Objection(message="Invalid JSON payload received.")
    given = {camel(name): value for name, value in body.items()}
    config = {camel(name): value for name, value in (given.get("generationConfig") or {}).items()}
    return (
        _unknown(given, _FIELDS, "")
        or _unknown(config, _CONFIG_FIELDS, "generation_config")
        or _contents_objection(given, traits)
        or _config_objection(config, traits)
        or _schema_objection(config)
        or _thinking_objection(config.get("thinkingConfig") or {}, traits)
    )


def _unknown(given: Values, known: frozenset[str], where: str) -> Objection | None:
    if not (unknown := given.keys() - known):
        return None
    at = f" at '{where}'" if where else ""
    message = (
        f'Invalid JSON payload received. Unknown name "{min(unknown)}"{at}: Cannot find field.'
    )
    return Objection(message=message, field=where or min(unknown))


def _contents_objection(given: Values, traits: Traits) -> Objection | None:
    if not given.get("contents"):
        return Objection(message="* GenerateContentRequest.contents: contents is not specified\n")
    for content in given["contents"]:
        if content.get("role", "user") not in {"user", "model"}:
            return Objection(message="Please use a valid role: user, model.")
        if not content.get("parts"):
            return Objection(message="Unable to submit request because it must have parts.")
    if given["contents"][-1].get("role") == "model" and not traits.prefill:
        return Objection(message="The last turn of the conversation must not be the model's.")
    return None


def _config_objection(config: Values, traits: Traits) -> Objection | None:
    temperature = config.get("temperature")
    if temperature is not None and not 0 <= temperature <= _HOTTEST:
        return Objection(
            message="* GenerateContentRequest.generation_config.temperature: temperature must be "
            "in the range [0.0, 2.0].\n"
        )
    if not traits.sampling and (sampled := _SAMPLING & config.keys()):
        return Objection(message=f"{min(sampled)} is not supported for this model.")
    if config.get("maxOutputTokens", 1) < 1:
        return Objection(message="max_output_tokens must be positive.")
    return None


def _schema_objection(config: Values) -> Objection | None:
    schemas = [config[name] for name in ("responseJsonSchema", "responseSchema") if name in config]
    if not schemas:
        return None
    if len(schemas) > 1:
        return Objection(message="Only one of response_schema and response_json_schema may be set.")
    if config.get("responseMimeType") != "application/json":
        return Objection(message="Function calling config or a JSON response mime type is needed.")
    unknown = schemas[0].keys() - _SCHEMA_FIELDS
    if "responseJsonSchema" in config and unknown:
        return Objection(message=f"response_json_schema: '{min(unknown)}' is not supported.")
    return None


def _thinking_objection(thinking: Values, traits: Traits) -> Objection | None:
    given = {camel(name): value for name, value in thinking.items()}
    if found := _unknown(given, _THINKING_FIELDS, "generation_config.thinking_config"):
        return found
    level, budget = given.get("thinkingLevel"), given.get("thinkingBudget")
    if budget is not None and 0 <= budget < traits.least_budget:
        message = f"Budget {budget} is invalid. This model only works in thinking mode."
        return Objection(message=message)
    return None if level is None else _level_objection(level, budget, traits)


def _level_objection(level: str, budget: int | None, traits: Traits) -> Objection | None:
    if budget is not None:
        return Objection(message="You can only set only one of thinking budget and thinking level.")
    if not traits.levels:
        return Objection(message="Thinking level is not supported for this model.")
    if level not in traits.levels:
        return Objection(message=f"Thinking level {level} is not supported for this model.")
    return None
