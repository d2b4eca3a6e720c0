"""From settings to how soon a target is tried again, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.application.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from llm_worker.settings import Settings


def backoff_of(settings: Settings) -> Backoff:
    """Give how long a target is left alone after it failed."""
    return Backoff(base_s=settings.retry.backoff_s, longest_s=settings.retry.backoff_max_s)


def backoff_faults(settings: Settings) -> Iterator[str]:
    """Say what is wrong with it, with its remedy."""
    if settings.retry.backoff_s > settings.retry.backoff_max_s:
        yield (
            "LLM_WORKER_RETRY__BACKOFF_S is more than LLM_WORKER_RETRY__BACKOFF_MAX_S: lower the "
            "first or raise the second"
        )


def changed_backoff_faults(settings: Settings, changed: Collection[str]) -> Iterator[str]:
    """Say what is wrong with it if the control topic changes it, for who is no worker."""
    if any(name.startswith("retry.") for name in changed):
        yield from backoff_faults(settings)
