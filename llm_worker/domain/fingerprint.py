"""The cache key of a question: everything that shapes the answer, and nothing else."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from llm_worker.contracts.request import LLMConfigOverrides
from llm_worker.domain.judging import PROMPT_VERSION, SCHEMA_VERSION

if TYPE_CHECKING:
    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.domain.routing import Route

FORM_VERSION: Final = 1
"""Moves when the list below changes its meaning: old verdicts are then not found any more."""

_AS_THE_MODEL_LIKES: Final = LLMConfigOverrides()
_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def fingerprint_of(asked: LLMComparisonRequestV1, route: Route) -> str:
    """Give the SHA-256, in hex, of the canonical form.

    The full texts are in it, each on its own; the pinned target, or the configured targets of the
    routing rule (with the mock in their place where it stands in), of those providers that are
    enabled by the settings in force, however their breakers stand; and the versions of our own
    texts. Who asks, and where the answer goes, is not.
    """
    wanted = asked.llm_config_overrides or _AS_THE_MODEL_LIKES
    form = [
        [FORM_VERSION, PROMPT_VERSION, SCHEMA_VERSION],
        [[target.provider, target.model] for target in route.targets],
        asked.user_prompt,
        asked.essay_a,
        asked.essay_b,
        wanted.system_prompt_override,
        wanted.temperature_override,
        wanted.max_tokens_override,
        wanted.reasoning_effort,
        wanted.output_verbosity,
        asked.replicate,
    ]
    return sha256(_write(form).encode()).hexdigest()
