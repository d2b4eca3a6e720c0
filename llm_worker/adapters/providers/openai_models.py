"""What OpenAI's models take: which effort, and a temperature or not.

From the SDK 3.57.0 (types/shared/chat_model.py and responses_model.py) and live probes told in
public: BerriAI/litellm-docs#1173 and UKGovernmentBEIS/inspect_ai#5254 (gpt-6-astra),
pydantic/pydantic-ai#7081 (gpt-5.6), openai/openai-agents-python#2089 (gpt-5.1), and OpenAI's
latest-model guide: with an effort other than none, no temperature.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


class Gpt(NamedTuple):
    """One family of models; `least_effort` is the lowest that it takes, None: it never reasons.

    With `sells_cache`, the prompt is written to the cache at 1.25 times its price, unless one asks
    for breakpoints of one's own (OpenAI's prompt caching guide: GPT-5.6 and later).
    """

    least_effort: str | None
    has_verbosity: bool = True
    sells_cache: bool = False


_REASONS_ALWAYS: Final = Gpt("low", sells_cache=True)
_REASONS_OR_NOT: Final = Gpt("none", sells_cache=True)
_UNKNOWN: Final = Gpt("low")
_PLAIN: Final = Gpt(None, has_verbosity=False)

# The first prefix that fits counts. What was shut down in October 2026 is not here.
_FAMILIES: Final[tuple[tuple[str, Gpt], ...]] = (
    ("gpt-6-astra", _REASONS_ALWAYS),
    ("gpt-6.1-sol", _REASONS_ALWAYS),
    ("gpt-6.2", _REASONS_ALWAYS),
    ("gpt-6", _REASONS_OR_NOT),
    ("gpt-5.6", _REASONS_OR_NOT),
    ("gpt-5.", Gpt("none")),
    ("gpt-5", Gpt("minimal")),
    ("o3", Gpt("low", has_verbosity=False)),
    ("gpt-4", _PLAIN),
)

RESPONSES_ONLY: Final = (
    "o1-pro",
    "o1-pro-2025-03-19",
    "o3-pro",
    "o3-pro-2025-06-10",
    "o3-deep-research",
    "o3-deep-research-2025-06-26",
    "o4-mini-deep-research",
    "o4-mini-deep-research-2025-06-26",
    "computer-use",
    "computer-use-preview",
    "computer-use-preview-2025-03-11",
    "gpt-5-codex",
    "gpt-5-pro",
    "gpt-5-pro-2025-10-06",
    "gpt-5.1-codex-max",
    "gpt-5.3-codex",
    "gpt-5.4-pro",
    "gpt-5.5-pro",
    "gpt-5.5-pro-2026-04-23",
    "gpt-5.5-cyber",
    "gpt-5.6-cyber",
    "gpt-6-cyber",
    "gpt-6-rosalind",
    "gpt-6.2-astra-law",
    "gpt-daybreak-blue-latest",
    "gpt-daybreak-red-latest",
    "gpt-rosalind-research",
)
"""Models that Chat Completions does not serve (SDK: responses_model.py, and genai-prices' kin)."""


# As the SDK's _data_residency.py lists them: us, eu, ae, au, in, jp.
_REGIONAL_HOST: Final = re.compile(r"[a-z]{2}\.api\.openai\.com")
_AT_LIST_PRICE: Final = re.compile(r"(ft:)?(chatgpt-4|gpt-[34]|gpt-5(\.[0-3])?(?![.\d])|o\d)")
"""Models from before 5 March 2026."""

_LIST_PRICE: Final = Decimal(1)
_WITH_RESIDENCY: Final = Decimal("1.1")


def surcharge(base_url: str) -> Callable[[str], Decimal] | None:
    """Say what a model's list price is multiplied by at this address; None: nothing's is.

    With data residency it is a tenth more, for models since 5 March 2026
    (developers.openai.com/api/docs/guides/data-residency), which genai-prices 0.2.3 does not know.
    """
    is_regional = _REGIONAL_HOST.fullmatch(urlsplit(base_url).hostname or "")
    return _residency_factor if is_regional else None


def _residency_factor(model: str) -> Decimal:
    return _LIST_PRICE if _AT_LIST_PRICE.match(model) else _WITH_RESIDENCY


def gpt(model: str) -> Gpt:
    """Give the family of a model; a name not known is taken for a newer one, which all reason."""
    name = model.removeprefix("ft:")
    for prefix, family in _FAMILIES:
        if name.startswith(prefix):
            return family
    return _UNKNOWN
