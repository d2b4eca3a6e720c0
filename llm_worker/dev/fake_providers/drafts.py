"""What a model says, and how many tokens that took, before any provider's wire format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson

from llm_worker.adapters.providers.mock_judge import latent_quality, split_essays
from llm_worker.contracts.vocabulary import Winner
from llm_worker.dev.fake_providers.behaviours import (
    EmptyAnswer,
    MalformedJson,
    MissingUsage,
    Refusal,
    SafetyStop,
    Slow,
    Truncated,
    Unfinished,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from llm_worker.dev.fake_providers.behaviours import Judged, Reply

_CHARACTERS_PER_TOKEN = 4
_REASONING_TOKENS = 64
_JUSTIFICATION = "It argues its case with more varied and more exact words than the other."


class Stop(StrEnum):
    """Why the model stopped."""

    DONE = "done"
    LENGTH = "length"
    REFUSAL = "refusal"
    FILTERED = "filtered"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a call asks of a model: `prompt` has the essays, `characters` counts everything."""

    prompt: str
    characters: int
    schema: Mapping[str, Any] | None
    max_tokens: int | None
    reasons: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Counts; `prompt` includes the cache's, `completion` includes `reasoning`."""

    prompt: int
    completion: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    reasoning: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An answer; `tokens` None: it does not say what it used."""

    text: str
    stop: Stop
    tokens: Tokens | None
    service_tier: str | None
    cost_usd: Decimal | None


def draft(reply: Reply, asked: Asked) -> Draft:
    """Put an answer together."""
    text, stop = _say(reply, asked)
    tokens = _count(reply, asked, text)
    limit = asked.max_tokens
    if limit is not None and tokens.completion > limit and reply.completion_tokens is None:
        text = text[: max(0, limit - tokens.reasoning) * _CHARACTERS_PER_TOKEN]
        stop = Stop.LENGTH
        tokens = _count(reply, asked, text, limit)
    return Draft(
        text=text,
        stop=stop,
        tokens=None if isinstance(reply, MissingUsage) else tokens,
        service_tier=reply.service_tier,
        cost_usd=reply.cost_usd,
    )


def _say(reply: Reply, asked: Asked) -> tuple[str, Stop]:
    match reply:
        case Verdict() | Slow() | MissingUsage():
            return _verdict(reply, asked), Stop.DONE
        case Truncated():
            verdict = _verdict(reply, asked)
            return verdict[: len(verdict) // 2], Stop.LENGTH
        case MalformedJson():
            return reply.text, Stop.DONE
        case _:
            return "", _SILENT[type(reply)]


_SILENT: dict[type[Reply], Stop] = {
    EmptyAnswer: Stop.DONE,
    Refusal: Stop.REFUSAL,
    SafetyStop: Stop.FILTERED,
    Unfinished: Stop.UNFINISHED,
}


def _count(reply: Reply, asked: Asked, text: str, limit: int | None = None) -> Tokens:
    reasoning = reply.reasoning_tokens
    if reasoning is None:
        reasoning = _REASONING_TOKENS if asked.reasons else 0
    completion = reply.completion_tokens
    if completion is None:
        completion = limit or reasoning + -(-len(text) // _CHARACTERS_PER_TOKEN)
    prompt = reply.prompt_tokens
    return Tokens(
        prompt=-(-asked.characters // _CHARACTERS_PER_TOKEN) if prompt is None else prompt,
        completion=completion,
        cache_read=reply.cache_read_tokens,
        cache_write=reply.cache_write_tokens,
        cache_write_1h=reply.cache_write_1h_tokens,
        reasoning=min(reasoning, completion),
    )


def _verdict(reply: Judged, asked: Asked) -> str:
    winner, confidence = reply.winner, reply.confidence
    if winner is None or confidence is None:
        essay_a, essay_b = split_essays(asked.prompt)
        margin = latent_quality(essay_a) - latent_quality(essay_b)
        winner = winner or (Winner.A if margin >= 0 else Winner.B)
        confidence = min(1.0, abs(margin) * 2) if confidence is None else confidence
    justification = reply.justification or _JUSTIFICATION
    if asked.schema is None:
        verdict = {"winner": winner, "justification": justification, "confidence": confidence}
        return orjson.dumps(verdict).decode()
    filled = {
        name: _fill(_resolved(spec, asked.schema), winner, confidence, justification)
        for name, spec in asked.schema.get("properties", {}).items()
    }
    return orjson.dumps(filled).decode()


def _fill(spec: Mapping[str, Any], winner: Winner, confidence: float, justification: str) -> object:
    if "enum" in spec:
        letter = winner.value[-1]
        return next((value for value in spec["enum"] if str(value).endswith(letter)), winner)
    kind = str(spec.get("type")).lower()  # Gemini's own schemas write the types in capitals
    if kind == "number":
        return confidence
    return round(confidence) if kind == "integer" else justification


def _resolved(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference into the schema's own definitions, as pydantic writes them for enums."""
    name = spec.get("$ref", "").rpartition("/")[2]
    resolved: Mapping[str, Any] = schema["$defs"][name] if name else spec
    return resolved
