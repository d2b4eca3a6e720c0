"""The settings that can be changed while the processes run, and laying them over the others."""

from __future__ import annotations

import difflib
from functools import cache, reduce
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from llm_worker.settings.faults import SettingsError, complaints
from llm_worker.settings.names import variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.settings.model import Settings
    from llm_worker.settings.names import Variable

ModelT = TypeVar("ModelT", bound=BaseModel)


@cache
def runtime_variables() -> Mapping[str, Variable]:
    """Every setting whose description has the mark, by its dotted name, in the model's order."""
    return MappingProxyType(
        {variable.key: variable for variable in variables().values() if variable.is_runtime}
    )


def require_runtime(name: str) -> None:
    """Check that a setting can be changed.

    Raises:
        SettingsError: It needs a restart, or there is none of this name.
    """
    known = runtime_variables()
    if name in known:
        return
    fixed = next((each for each in variables().values() if each.key == name), None)
    if fixed is not None:
        raise SettingsError(
            f"{name} cannot be changed at run time: set {fixed.names} and restart the process"
        )
    [nearest] = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0)
    raise SettingsError(f"{name} is no runtime setting: did you mean {nearest}?")


def parsed(name: str, value: object) -> Any:  # noqa: ANN401 - each setting has a type of its own
    """Give a value in the setting's own type, checked as if the environment held it.

    Raises:
        SettingsError: It is no runtime setting, or this is no value for it.
    """
    require_runtime(name)
    try:
        found = _adapter(name).validate_python(value)
    except ValidationError as error:
        # Not chained: pydantic's own text holds the value.
        raise SettingsError("\n".join(complaints(error, within=_path(name)))) from None
    if isinstance(value, bool) and isinstance(found, int | float) and not isinstance(found, bool):
        variable = runtime_variables()[name]
        raise SettingsError(
            f"{variable.names}: is true or false: give a number. It means: {variable.meaning}"
        )
    return found


def value_of(settings: Settings, name: str) -> Any:  # noqa: ANN401 - each setting has a type of its own
    """Give a setting's value by its dotted name."""
    return reduce(getattr, _path(name), settings)


def overlaid(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Lay values, as `parsed` gives them, over the settings; by their dotted names."""
    for name, value in values.items():
        settings = _with(settings, _path(name), value)
    return settings


def as_json(name: str, value: Any) -> Any:  # noqa: ANN401 - each setting has a type of its own
    """Give a runtime setting's value as it goes into the control topic."""
    return _adapter(name).dump_python(value, mode="json", exclude_none=True)


def _with(group: ModelT, path: tuple[str, ...], value: Any) -> ModelT:  # noqa: ANN401 - see above
    field, *rest = path
    inner = _with(getattr(group, field), tuple(rest), value) if rest else value
    return group.model_copy(update={field: inner})


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """Give what checks the setting alone, whatever the others are."""
    field = runtime_variables()[name].field
    kind: Any = Annotated[field.annotation, field]
    return TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))


def _path(name: str) -> tuple[str, ...]:
    return tuple(name.split("."))
