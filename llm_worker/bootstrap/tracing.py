"""From the standard OTEL_* variables to spans, or to none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from llm_worker.adapters.providers.http_provider import HttpProvider
from llm_worker.application.tracing import NO_TRACING
from llm_worker.settings import are_traces_wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_worker.application.ports import Provider
    from llm_worker.application.tracing import Tracing
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.settings import Settings

_PORTS = {"http": 80, "https": 443}
_log = structlog.get_logger(__name__)


def build_tracing(settings: Settings, providers: Iterable[Provider]) -> Tracing:
    """Make spans if they are wanted; what is wrong with the wish keeps no verdict from flowing."""
    try:
        if not are_traces_wanted():
            return NO_TRACING
        # Here, so that a worker without tracing neither loads nor waits for it.
        from llm_worker.adapters.telemetry.tracing import otlp_tracing  # noqa: PLC0415

        tracing = otlp_tracing(
            environment=settings.environment,
            group=settings.kafka.group,
            servers=_servers(providers),
        )
    except Exception as error:  # noqa: BLE001 - whatever the SDK does not like in its variables
        _log.warning("tracing_off", why=str(error))
        return NO_TRACING
    _log.info("tracing_on")
    return tracing


def _servers(providers: Iterable[Provider]) -> dict[ProviderName, tuple[str, int]]:
    urls = {
        each.name: urlsplit(each.base_url) for each in providers if isinstance(each, HttpProvider)
    }
    return {
        name: (url.hostname, url.port or _PORTS.get(url.scheme, 0))
        for name, url in urls.items()
        if url.hostname
    }
