"""The variables' names: what there is, and what else each is read from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import BaseModel

from llm_worker.settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

PREFIX = "LLM_WORKER_"
CONFIG = "LLM_WORKER_CONFIG"
"""Names the TOML file, so it cannot stand in it."""

RUNTIME = "Runtime: "
"""Begins the description of a setting that can be changed while the processes run."""

_ALSO_READ_FROM = {
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

# Kubernetes puts these into every pod beside a Service whose name begins with llm-worker.
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_.+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_.+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One setting: its names in the environment, its dotted key in the TOML file."""

    name: str
    aliases: tuple[str, ...]
    key: str
    field: FieldInfo

    @property
    def names(self) -> str:
        """All its names in the environment, for a person."""
        return f"{self.name} (or {', '.join(self.aliases)})" if self.aliases else self.name

    @property
    def is_runtime(self) -> bool:
        """Whether it can be changed while the processes run."""
        return (self.field.description or "").startswith(RUNTIME)

    @property
    def meaning(self) -> str:
        """Its description, for one who knows whether it can be changed."""
        return (self.field.description or "").removeprefix(RUNTIME)


@cache
def variables() -> Mapping[str, Variable]:
    """Every setting by name, in the model's order."""
    return MappingProxyType({variable.name: variable for variable in _walk(Settings, ())})


def variable_name(path: tuple[str, ...]) -> str:
    """Name the variable of a field by its path through the model."""
    return PREFIX + "__".join(path).upper()


def is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes, and not an operator, has set the variable."""
    return bool(_SERVICE_LINK.search(name)) or (name.endswith("_PORT") and "://" in value)


def _walk(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Variable]:
    for key, field in model.model_fields.items():
        here = (*path, key)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _walk(field.annotation, here)
        else:
            name = variable_name(here)
            aliases = _ALSO_READ_FROM.get(name, ())
            yield Variable(name=name, aliases=aliases, key=".".join(here), field=field)
