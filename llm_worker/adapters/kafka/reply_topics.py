"""Which topics a caller may name for the answer."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from llm_worker.application.ports import Clock

_REFRESH_S = 1.0


class KafkaReplyTopics:
    """Allowed by pattern, not one of our other topics, and there on the broker.

    Names are looked up in remembered metadata first; an unknown one asks the broker once, and all
    that come within a second share the question.
    """

    def __init__(
        self,
        *,
        patterns: Collection[str],
        forbidden: Collection[str],
        list_topics: Callable[[], Awaitable[Collection[str]]],
        clock: Clock,
    ) -> None:
        self._patterns = patterns
        self._forbidden = forbidden
        self._list_topics = list_topics
        self._clock = clock
        self._known: Collection[str] = frozenset()
        self._asked_s = float("-inf")
        self._asking = asyncio.Lock()

    async def is_usable(self, topic: str) -> bool:
        """Say whether it is allowed and exists."""
        if topic in self._forbidden:
            return False
        if not any(fnmatchcase(topic, pattern) for pattern in self._patterns):
            return False
        if topic in self._known:
            return True
        async with self._asking:
            if self._clock.monotonic() - self._asked_s > _REFRESH_S:
                self._known = await self._list_topics()
                self._asked_s = self._clock.monotonic()
        return topic in self._known
