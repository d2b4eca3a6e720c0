"""The environment's variables that have more names than one."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ALSO_READ_FROM: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": ("KAFKA_BOOTSTRAP_SERVERS",),
        "LLM_WORKER_CACHE__REDIS_URL": ("REDIS_URL",),
        "LLM_WORKER_CACHE__LOCAL_SIZE_MB": ("LOCAL_CACHE_SIZE_MB",),
        "LLM_WORKER_CACHE__LOCAL_TTL_S": ("LOCAL_CACHE_TTL_SECONDS",),
        "LLM_WORKER_CACHE__LOCAL_MAX_ENTRIES": ("LOCAL_CACHE_MAX_ENTRIES",),
        "LLM_WORKER_USE_MOCK_LLM": ("USE_MOCK_LLM",),
        "LLM_WORKER_PROVIDERS__ANTHROPIC__API_KEY": ("ANTHROPIC_API_KEY",),
        "LLM_WORKER_PROVIDERS__OPENAI__API_KEY": ("OPENAI_API_KEY",),
        "LLM_WORKER_PROVIDERS__GOOGLE__API_KEY": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        "LLM_WORKER_PROVIDERS__OPENROUTER__API_KEY": ("OPENROUTER_API_KEY",),
        "LLM_WORKER_ADMIN_API_KEY": ("LLM_ADMIN_API_KEY",),
    }
)
"""The other names of variables, by the one that they are documented under."""


def under_every_name(settings: Mapping[str, str]) -> dict[str, str]:
    """Give the variables under their other names too.

    Laid over an environment they then hold: one that stood there under another name would
    contradict them.
    """
    others = {
        other: value for name, value in settings.items() for other in ALSO_READ_FROM.get(name, ())
    }
    return {**settings, **others}
