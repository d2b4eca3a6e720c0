"""What Google's models take: a thinking level or a budget, and a temperature or not.

From ai.google.dev/gemini-api/docs (generate-content/thinking, whats-new-gemini-3.5, latest-model)
and docs.cloud.google.com (Gemini 4 Argon: low, medium, high), November 2026; that 3.7 and 3.8
Flash refuse minimal: BerriAI/litellm-docs#1505; that 3.6 Flash and 3.5 Flash-Lite take no
temperature: langchain-ai/langchain-google#1897; Gemma 4's levels: livekit/agents#7080.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from llm_worker.contracts.request import ReasoningEffort


class Gemini(NamedTuple):
    """One family of models: its `thinkingConfig` for each effort that it has one for.

    `never_idle` says that what it has for the effort none is thinking all the same, if little.
    """

    thinking: dict[ReasoningEffort, dict[str, Any]]
    never_idle: bool = True
    has_temperature: bool = False


def _levels(**levels: str) -> dict[ReasoningEffort, dict[str, Any]]:
    return {ReasoningEffort(effort): {"thinkingLevel": level} for effort, level in levels.items()}


def _budgets(**tokens: int) -> dict[ReasoningEffort, dict[str, Any]]:
    # The tokens that Google's own OpenAI-compatible endpoint gives the efforts.
    budgets = {"low": 1024, "medium": 8192, "high": 24576, **tokens}
    return {ReasoningEffort(effort): {"thinkingBudget": count} for effort, count in budgets.items()}


_FROM_LOW: Final = _levels(none="LOW", low="LOW", medium="MEDIUM", high="HIGH")
_FROM_MINIMAL: Final = _levels(none="MINIMAL", low="LOW", medium="MEDIUM", high="HIGH")

_NEWEST: Final = Gemini(_FROM_LOW)
_PLAIN: Final = Gemini({}, has_temperature=True)

# The first prefix that fits counts.
_FAMILIES: Final[tuple[tuple[str, Gemini], ...]] = (
    ("gemini-3.8-flash", _NEWEST),
    ("gemini-3.7-flash", _NEWEST),
    ("gemini-3.6-flash", Gemini(_FROM_MINIMAL)),
    ("gemini-3.5-flash-lite", Gemini(_FROM_MINIMAL)),
    ("gemini-flash-lite-latest", Gemini(_FROM_MINIMAL)),
    ("gemini-3.5-flash", Gemini(_FROM_MINIMAL, has_temperature=True)),
    ("gemini-3.1-flash-lite", Gemini(_FROM_MINIMAL, has_temperature=True)),
    ("gemini-3-flash", Gemini(_FROM_MINIMAL, has_temperature=True)),
    ("gemini-3", Gemini(_FROM_LOW, has_temperature=True)),
    ("gemini-pro-latest", Gemini(_FROM_LOW, has_temperature=True)),
    ("gemini-2.5-pro", Gemini(_budgets(none=128), has_temperature=True)),
    ("gemini-2.5", Gemini(_budgets(none=0), never_idle=False, has_temperature=True)),
    ("gemini-2", _PLAIN),
    ("gemma-4", Gemini(_levels(none="MINIMAL", high="HIGH"), has_temperature=True)),
    ("gemma", _PLAIN),
)


def gemini(model: str) -> Gemini:
    """Give the family of a model; a name not known is taken for a newer one."""
    for prefix, family in _FAMILIES:
        if model.startswith(prefix):
            return family
    return _NEWEST
