"""Work that another cancels and then awaits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def ending_well(work: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
    """Give the work with a cancellation as an end like another, and False as its answer.

    Whoever awaits it then is not taken for cancelled.
    """

    async def done(*arguments: object) -> bool:
        try:
            return await work(*arguments)
        except asyncio.CancelledError:
            return False

    return done
