"""What each family of Claude models takes: structured output, effort, and how thinking goes off.

From platform.claude.com, November 2026: build-with-claude/effort (the list of models),
build-with-claude/structured-outputs, models/sonnet-5-5/whats-new-sonnet-5-5 (between_tools),
models/haiku-5-5/whats-new-haiku-5-5, and each model's overview.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Claude(NamedTuple):
    """One family of models.

    `thinking_off` is the `thinking.type` that turns thinking off, None where nothing does;
    `thinking_on` the one that a wanted effort needs, None where the model thinks unasked.
    """

    has_schema: bool = True
    has_effort: bool = True
    thinks_unasked: bool = True
    thinking_off: str | None = None
    thinking_on: str | None = None


_ALWAYS_THINKS: Final = Claude()
_CAN_STOP: Final = Claude(thinking_off="disabled")
_THINKS_IF_ASKED: Final = Claude(thinks_unasked=False, thinking_on="adaptive")

# The first prefix that fits counts.
_FAMILIES: Final[tuple[tuple[str, Claude], ...]] = (
    ("claude-opus-5-5", _ALWAYS_THINKS),
    ("claude-sonnet-5-5", Claude(thinking_off="between_tools")),
    ("claude-haiku-5", _CAN_STOP),
    ("claude-sonnet-5", _CAN_STOP),
    ("claude-opus-5", _CAN_STOP),
    ("claude-opus-4-8", _THINKS_IF_ASKED),
    ("claude-opus-4-7", _THINKS_IF_ASKED),
    ("claude-opus-4-6", _THINKS_IF_ASKED),
    ("claude-sonnet-4-6", _THINKS_IF_ASKED),
    ("claude-opus-4-5", Claude(thinks_unasked=False)),
    ("claude-sonnet-4-5", Claude(thinks_unasked=False, has_effort=False)),
    ("claude-haiku-4-5", Claude(thinks_unasked=False, has_effort=False)),
    ("claude-opus-4", Claude(thinks_unasked=False, has_effort=False, has_schema=False)),
    ("claude-sonnet-4", Claude(thinks_unasked=False, has_effort=False, has_schema=False)),
    ("claude-3", Claude(thinks_unasked=False, has_effort=False, has_schema=False)),
)


def claude(model: str) -> Claude:
    """Give the family of a model; a name not known is taken for a newer one, which all think."""
    for prefix, family in _FAMILIES:
        if model.startswith(prefix):
            return family
    return _ALWAYS_THINKS
