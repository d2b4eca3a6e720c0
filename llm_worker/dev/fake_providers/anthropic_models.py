"""The Claude models, and what each takes.

Facts: types/model.py of the anthropic SDK 2.13, platform.claude.com/docs/en/models, and the
migration guides of the 5.5 models.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Thinking(StrEnum):
    """When a model thinks."""

    ON_REQUEST = "on_request"
    BY_DEFAULT = "by_default"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a model takes: `thinking` types, an effort, an assistant's last turn, sampling."""

    thinking: Thinking
    takes: frozenset[str]
    effort: bool = True
    prefill: bool = False
    sampling: bool = False

    def thinks(self, asked: str | None) -> bool:
        """Say whether it thinks when `thinking.type` is this; None: not given."""
        if asked is None:
            return self.thinking is not Thinking.ON_REQUEST
        return asked not in {"disabled", "between_tools"}


def _traits(thinking: Thinking, *takes: str, **more: bool) -> Traits:
    return Traits(thinking=thinking, takes=frozenset(takes), **more)


_ALWAYS = _traits(Thinking.ALWAYS, "adaptive")
_SONNET_5_5 = _traits(Thinking.BY_DEFAULT, "adaptive", "between_tools")
_FIVE = _traits(Thinking.BY_DEFAULT, "adaptive", "disabled")
_FOUR_7 = _traits(Thinking.ON_REQUEST, "adaptive", "disabled")
_FOUR_6 = _traits(Thinking.ON_REQUEST, "adaptive", "enabled", "disabled", sampling=True)
_OPUS_4_5 = _traits(Thinking.ON_REQUEST, "enabled", "disabled", prefill=True, sampling=True)
_FOUR_5 = _traits(
    Thinking.ON_REQUEST, "enabled", "disabled", effort=False, prefill=True, sampling=True
)

MODELS: Final[dict[str, Traits]] = {
    "claude-fable-5-2": _ALWAYS,
    "claude-mythos-5-2": _ALWAYS,
    "claude-haiku-5-5": _FIVE,
    "claude-sonnet-5-5": _SONNET_5_5,
    "claude-fable-5-1": _ALWAYS,
    "claude-opus-5-5": _ALWAYS,
    "claude-mythos-5-1": _ALWAYS,
    "claude-sonnet-5": _FIVE,
    "claude-fable-5": _ALWAYS,
    "claude-mythos-5": _ALWAYS,
    "claude-opus-5": _FIVE,
    "claude-opus-4-8": _FOUR_7,
    "claude-opus-4-7": _FOUR_7,
    "claude-opus-4-6": _FOUR_6,
    "claude-sonnet-4-6": _FOUR_6,
    "claude-haiku-4-5": _FOUR_5,
    "claude-haiku-4-5-20251001": _FOUR_5,
    "claude-opus-4-5": _OPUS_4_5,
    "claude-opus-4-5-20251101": _OPUS_4_5,
    "claude-sonnet-4-5": _FOUR_5,
    "claude-sonnet-4-5-20250929": _FOUR_5,
}
