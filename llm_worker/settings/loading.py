"""From the environment, `.env` and the TOML file to checked settings."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource, TomlConfigSettingsSource

from llm_worker.settings.model import Settings
from llm_worker.settings.names import (
    CONFIG,
    PREFIX,
    is_service_link,
    variable_name,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pydantic_settings.sources import PydanticBaseSettingsSource

_DEFAULT_CONFIG = "llm-worker.toml"


class SettingsError(Exception):
    """A setting cannot be used; the text names it and the remedy, and never holds a value."""


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read all settings; rising precedence: defaults, the TOML file, `.env`, the environment.

    `.env`, and `llm-worker.toml` unless `LLM_WORKER_CONFIG` names another, are looked for in the
    working directory and may be missing.

    Args:
        environ: Stands for the environment of this process.

    Raises:
        SettingsError: A name is unknown, two names of one setting differ, a value is out of its
            range, or a file cannot be read.
    """
    environment = os.environ if environ is None else environ  # noqa: TID251 -- its one reader
    given = _with_aliases_resolved({**_dotenv(), **environment})
    config = given.pop(CONFIG, None)
    try:
        return Settings(_build_sources=((_from_environment(given), _from_toml(config)), {}))
    except ValidationError as error:
        # Not chained: pydantic's own text holds the values, and one may be a secret.
        raise SettingsError("\n".join(_complaints(error))) from None


def _dotenv() -> dict[str, str]:
    try:
        found = DotEnvSettingsSource(
            Settings, env_file=Path(".env"), env_file_encoding="utf-8", case_sensitive=True
        ).env_vars
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f".env cannot be read as UTF-8: {type(error).__name__}") from None
    return {name: value for name, value in found.items() if value is not None}


def _with_aliases_resolved(environment: Mapping[str, str]) -> dict[str, str]:
    """Keep what is ours, each under its LLM_WORKER_ name."""
    known = {*variables(), CONFIG}
    given = {}
    for name, value in environment.items():
        if name.upper().startswith(PREFIX) and not is_service_link(name, value):
            _refuse_unknown(name, known)
            given[name] = value
    for variable in variables().values():
        if variable.alias is None or variable.alias not in environment:
            continue
        value = environment[variable.alias]
        if given.setdefault(variable.name, value) != value:
            raise SettingsError(
                f"{variable.name} and {variable.alias} are both set and differ: remove one"
            )
    return given


def _from_environment(given: Mapping[str, str]) -> PydanticBaseSettingsSource:
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in given.items()}
    return source


def _from_toml(config: str | None) -> PydanticBaseSettingsSource:
    path = Path(config or _DEFAULT_CONFIG)
    if config and not path.is_file():
        raise SettingsError(f"{CONFIG}: {config} is no file; create it, or unset {CONFIG}")
    try:
        source = TomlConfigSettingsSource(Settings, path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from error
    known = {variable.key for variable in variables().values()}
    for key in _leaves(source.toml_data, ()):
        _refuse_unknown(key, known, where=f" of {path}")
    return source


def _leaves(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield ".".join((*path, key))


def _refuse_unknown(name: str, known: Collection[str], *, where: str = "") -> None:
    if name not in known:
        by_likeness = {spelling.lower(): spelling for spelling in known}
        [nearest] = difflib.get_close_matches(name.lower(), sorted(by_likeness), n=1, cutoff=0)
        raise SettingsError(f"{name}{where} is no setting: did you mean {by_likeness[nearest]}?")


def _complaints(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        message = fault["msg"].removeprefix("Value error, ")
        path = tuple(part for part in fault["loc"] if isinstance(part, str))
        variable = variables().get(variable_name(path))
        if variable is not None:
            yield f"{variable.names}: {message}. It means: {variable.field.description}"
        else:
            yield f"{variable_name(path)}: {message}" if path else message
