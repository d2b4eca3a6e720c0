"""Whether spans are wanted, by the standard OTEL_* variables; the SDK reads the rest of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from llm_worker.settings.faults import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_SPOKEN: Final = "http/protobuf"


def are_traces_wanted(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether an endpoint for spans is named, and nothing says that none shall go there.

    Args:
        environ: Stands for the environment of this process.

    Raises:
        SettingsError: They are wanted in a way that is not spoken here.
    """
    environment = os.environ if environ is None else environ  # noqa: TID251 -- its one reader
    exporters = _listed(environment.get(_EXPORTER, ""))
    is_off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if is_off or "none" in exporters or not _first(environment, _ENDPOINTS):
        return False
    if exporters and "otlp" not in exporters:
        raise SettingsError(f"{_EXPORTER} names no exporter that there is: set it to otlp or none")
    named = _first(environment, _PROTOCOLS)
    if named and environment[named].strip().lower() != _SPOKEN:
        raise SettingsError(
            f"{named} asks for a protocol that is not spoken here: set it to {_SPOKEN}, and the "
            "endpoint to the receiver's port for that, usually 4318"
        )
    return True


def _first(environment: Mapping[str, str], names: Iterable[str]) -> str | None:
    """Give the first name that has a value; an empty one is none, says the standard."""
    return next((name for name in names if environment.get(name, "").strip()), None)


def _listed(value: str) -> set[str]:
    return {part for each in value.split(",") if (part := each.strip().lower())}
