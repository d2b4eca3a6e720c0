"""The settings that can be changed while the processes run, and laying them over the others."""

from __future__ import annotations

import difflib
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from llm_worker.settings.faults import SettingsError, complaints
from llm_worker.settings.kinds import Group
from llm_worker.settings.names import variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.settings.names import Variable

GroupT = TypeVar("GroupT", bound=Group)


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


def overlaid(group: GroupT, values: Mapping[str, Any], *, name: str) -> GroupT:
    """Lay values over a group of settings, checked as if the environment held them.

    Args:
        group: The settings that the process has of its own.
        values: By the fields' names.
        name: The group's own, in `Settings`.

    Raises:
        SettingsError: One is out of its range; the group is as it was.
    """
    try:
        return type(group).model_validate({**group.model_dump(), **values})
    except ValidationError as error:
        # Not chained: pydantic's own text holds the values.
        raise SettingsError("\n".join(complaints(error, within=(name,)))) from None


def as_json(group: Group, field: str) -> Any:  # noqa: ANN401 - each setting has a type of its own
    """Give the value of a setting as it goes into the control topic."""
    return group.model_dump(mode="json", exclude_none=True).get(field)
