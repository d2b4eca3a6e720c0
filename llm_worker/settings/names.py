"""The variables' names: what there is, and what else each is read from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import BaseModel

from llm_worker.contracts.variables import ALSO_READ_FROM
from llm_worker.settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

PREFIX = "LLM_WORKER_"
CONFIG = "LLM_WORKER_CONFIG"
"""Names the TOML file, so it cannot stand in it."""

RUNTIME = "Runtime: "
"""Begins the description of a setting that can be changed while the processes run."""

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
            aliases = ALSO_READ_FROM.get(name, ())
            yield Variable(name=name, aliases=aliases, key=".".join(here), field=field)
