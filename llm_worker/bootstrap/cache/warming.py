"""From settings to what the commands of the cache need: Redis, and the worker's own routing."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from llm_worker.adapters.cache.connect import connect, disconnect
from llm_worker.adapters.cache.inventory import Inventory
from llm_worker.adapters.cache.probe import CacheUnreachableError
from llm_worker.adapters.clock import SystemClock
from llm_worker.bootstrap.cache.stores import redis_address
from llm_worker.bootstrap.providers.configured import build_providers
from llm_worker.bootstrap.providers.routing import build_routes, routing_faults
from llm_worker.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llm_worker.application.routes import Routes
    from llm_worker.settings import Settings

_ANSWER_S: Final = 5.0
"""Nobody's request waits for it."""


@asynccontextmanager
async def open_inventory(settings: Settings) -> AsyncIterator[Inventory]:
    """Open what lies in Redis. Raises CacheUnreachableError if its URL is malformed."""
    try:
        client = connect(redis_address(settings), budget_s=_ANSWER_S)
    except ValueError as error:
        raise CacheUnreachableError(str(error)) from None
    try:
        yield Inventory(client, key_prefix=settings.cache.key_prefix, timeout_s=_ANSWER_S)
    finally:
        await disconnect(client)


def load_routing_settings() -> Settings:
    """Read the settings as a worker does.

    Raises:
        SettingsError: with everything that keeps a worker from routing by them.
    """
    clock = SystemClock()
    return load_settings(checks=lambda settings: routing_faults(settings, clock))


@asynccontextmanager
async def open_routes(settings: Settings) -> AsyncIterator[Routes]:
    """Give the routes that a worker with these settings has; nobody is called."""
    providers = build_providers(settings, SystemClock())
    try:
        yield build_routes(settings, providers)
    finally:
        for provider in providers.values():
            await provider.aclose()
