"""Work that another cancels and then awaits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def let_end_well(owner: object, *methods: str) -> None:
    """Make a cancellation an end like another of these methods, with False as their answer.

    Whoever cancels and then awaits one is not taken for cancelled.
    """
    for name in methods:
        setattr(owner, name, _ending_well(getattr(owner, name)))


def _ending_well(work: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
    async def done(*arguments: object) -> bool:
        try:
            return await work(*arguments)
        except asyncio.CancelledError:
            return False

    return done
