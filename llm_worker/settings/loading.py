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
        SettingsError: Names are unknown, two names of one setting differ, values are out of their
            range: all are told. Or a file cannot be read.
    """
    environment = os.environ if environ is None else environ  # noqa: TID251 -- its one reader
    faults: list[str] = []
    given = _with_aliases_resolved({**_dotenv(), **environment}, faults)
    config = given.pop(CONFIG, None)
    values = _laid_over(_from_toml(config, faults), _from_environment(given)())
    settings = _built(values, faults)
    faults += checks(settings)
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _built(values: dict[str, Any], faults: list[str]) -> Settings:
    """Give the settings with those at fault at their defaults, so that the rest can be judged.

    A group is judged as a whole only once each value in it is right: what is wrong then is told
    as well.
    """
    while True:
        try:
            # Nothing else is looked at: pydantic-settings would read the environment itself.
            return Settings(_build_sources=((InitSettingsSource(Settings, values),), {}))
        except ValidationError as error:
            faults += complaints(error)
            for fault in error.errors(
                include_input=False, include_url=False, include_context=False
            ):
                _remove(values, fault["loc"])


def _laid_over(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    merged = lower | upper
    for key in lower.keys() & upper.keys():
        if isinstance(lower[key], dict) and isinstance(upper[key], dict):
            merged[key] = _laid_over(lower[key], upper[key])
    return merged


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


def _with_aliases_resolved(environment: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """Keep what is ours, each under its LLM_WORKER_ name."""
    known = {*variables(), CONFIG}
    given = {}
    for name, value in environment.items():
        if not name.upper().startswith(PREFIX) or is_service_link(name, value):
            continue
        if name in known:
            given[name] = value
        else:
            faults.append(_unknown(name, known))
    for variable in variables().values():
        for alias in variable.aliases:
            if alias not in environment:
                continue
            value = environment[alias]
            if given.setdefault(variable.name, value) != value:
                names = [n for n in (variable.name, *variable.aliases) if n in environment]
                faults.append(f"{' and '.join(names)} are both set and differ: remove one")
    return given


def _from_environment(given: Mapping[str, str]) -> PydanticBaseSettingsSource:
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in given.items()}
    return source


def _from_toml(config: str | None, faults: list[str]) -> dict[str, Any]:
    path = Path(config or _DEFAULT_CONFIG)
    if config and not path.is_file():
        raise SettingsError(f"{CONFIG}: {config} is no file; create it, or unset {CONFIG}")
    try:
        source = TomlConfigSettingsSource(Settings, path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from error
    values: dict[str, Any] = source()
    known = {variable.key for variable in variables().values()}
    for key in list(_keys(values, known)):
        if (name := ".".join(key)) not in known:
            faults.append(_unknown(name, known, where=f" of {path}"))
            _remove(values, key)
    return values


def _keys(
    table: Mapping[str, Any], known: Collection[str], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Give the paths to what stands in the groups of a TOML file."""
    for name, value in table.items():
        here = (*path, name)
        is_group = any(key.startswith(".".join((*here, ""))) for key in known)
        if is_group and isinstance(value, dict):
            yield from _keys(value, known, here)
        else:
            yield here


def _unknown(name: str, known: Collection[str], *, where: str = "") -> str:
    by_likeness = {spelling.lower(): spelling for spelling in known}
    [nearest] = difflib.get_close_matches(name.lower(), sorted(by_likeness), n=1, cutoff=0)
    return f"{name}{where} is no setting: did you mean {by_likeness[nearest]}?"
