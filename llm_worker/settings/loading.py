"""From the environment, `.env` and the TOML file to checked settings."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_settings import (
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    TomlConfigSettingsSource,
)

from llm_worker.settings.faults import SettingsError, complaints
from llm_worker.settings.model import Settings
from llm_worker.settings.names import CONFIG, PREFIX, is_service_link, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from pydantic_settings.sources import PydanticBaseSettingsSource

_DEFAULT_CONFIG = "llm-worker.toml"


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    checks: Callable[[Settings], Iterable[str]] = lambda _settings: (),
) -> Settings:
    """Read all settings; rising precedence: defaults, the TOML file, `.env`, the environment.

    `.env`, and `llm-worker.toml` unless `LLM_WORKER_CONFIG` names another, are looked for in the
    working directory and may be missing.

    Args:
        environ: Stands for the environment of this process.
        checks: Gives what is wrong with settings that are right each for itself, a line each. They
            are told together with the faults of single settings, which have their default then.

    Raises:
        SettingsError: A name is unknown, two names of one setting differ, a value is out of its
            range, or a file cannot be read.
    """
    environment = os.environ if environ is None else environ  # noqa: TID251 -- its one reader
    given = _with_aliases_resolved({**_dotenv(), **environment})
    config = given.pop(CONFIG, None)
    values = _laid_over(_from_toml(config)(), _from_environment(given)())
    faults = []
    try:
        settings = _built(values)
    except ValidationError as error:
        faults = list(complaints(error))
        settings = _without_faulty(values, error)
    faults += checks(settings)
    if faults:
        # Not chained: pydantic's own text holds the values, and one may be a secret.
        raise SettingsError("\n".join(faults)) from None
    return settings


def _built(values: dict[str, Any]) -> Settings:
    # Nothing else is looked at: not the environment, which pydantic-settings would read itself.
    return Settings(_build_sources=((InitSettingsSource(Settings, values),), {}))


def _laid_over(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    merged = lower | upper
    for key in lower.keys() & upper.keys():
        if isinstance(lower[key], dict) and isinstance(upper[key], dict):
            merged[key] = _laid_over(lower[key], upper[key])
    return merged


def _without_faulty(values: dict[str, Any], error: ValidationError) -> Settings:
    """Give the settings with those at fault at their defaults, so that the rest can be judged."""
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        _remove(values, fault["loc"])
    return _built(values)


def _remove(table: dict[str, Any], path: tuple[int | str, ...]) -> None:
    """Remove the value that the path leads to, or the last one on the way that there is."""
    key, rest = str(path[0]), path[1:]
    inner = table.get(key)
    if rest and isinstance(inner, dict) and rest[0] in inner:
        _remove(inner, rest)
    else:
        table.pop(key, None)


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
        for alias in variable.aliases:
            if alias not in environment:
                continue
            value = environment[alias]
            if given.setdefault(variable.name, value) != value:
                names = [n for n in (variable.name, *variable.aliases) if n in environment]
                raise SettingsError(f"{' and '.join(names)} are both set and differ: remove one")
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
    for key in _keys(source.toml_data, known):
        _refuse_unknown(key, known, where=f" of {path}")
    return source


def _keys(table: Mapping[str, Any], known: Collection[str], prefix: str = "") -> Iterator[str]:
    """Give the keys of a TOML file, of tables that are one setting the table's own."""
    for name, value in table.items():
        key = prefix + name
        if isinstance(value, dict) and key not in known:
            yield from _keys(value, known, f"{key}.")
        else:
            yield key


def _refuse_unknown(name: str, known: Collection[str], *, where: str = "") -> None:
    if name not in known:
        by_likeness = {spelling.lower(): spelling for spelling in known}
        [nearest] = difflib.get_close_matches(name.lower(), sorted(by_likeness), n=1, cutoff=0)
        raise SettingsError(f"{name}{where} is no setting: did you mean {by_likeness[nearest]}?")
