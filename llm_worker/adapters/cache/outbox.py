"""What Redis has to hear in the end: sent again, when it is back, where it did not."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from llm_worker.adapters.cache.link import CacheAwayError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.adapters.cache.link import RedisLink
    from llm_worker.adapters.cache.script import Script
    from llm_worker.adapters.cache.sending import Word

    _Call: TypeAlias = tuple[Script, Sequence[str], tuple[Word, ...]]

_CALLS_AT_MOST: Final = 10_000
_BYTES_AT_MOST: Final = 64 * 1024 * 1024
"""The oldest calls go first; an outcome takes about 2 kB, a failed one its request's size more."""
_AT_ONCE: Final = 100
"""Calls of one batch: it ends well within the link's budget, beside what others ask."""
_AT_A_TIME_S: Final = 1.0
_AT_THE_END_S: Final = 10.0


class Outbox:
    """Calls whose answer nobody waits for, and that others would wait for in vain.

    Its scripts may run late and more than once.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._unheard: deque[_Call] = deque()
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._unheard)

    def post(self, script: Script, keys: Sequence[str], *arguments: Word) -> None:
        """Call a script, and keep the call where Redis does not answer."""
        self._link.post_later(
            script, keys, *arguments, unheard=partial(self.keep, script, keys, *arguments)
        )

    def keep(self, script: Script, keys: Sequence[str], *arguments: Word) -> None:
        """Keep a call for the next time that Redis answers."""
        self._put((script, keys, arguments))
        while len(self._unheard) > _CALLS_AT_MOST or self._size_bytes > _BYTES_AT_MOST:
            self._take()

    async def drain(self) -> None:
        """Make the kept calls again, batch by batch, until all are heard, one is not, or for 1 s.

        Bounded, since whoever drains has our sign of life to renew.
        """
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + _AT_A_TIME_S
        while self._unheard and now_s() < until_s:
            batch = [self._take() for _ in range(min(_AT_ONCE, len(self._unheard)))]
            made = [self._link.run(script, keys, *said) for script, keys, said in batch]
            answers = await asyncio.gather(*made, return_exceptions=True)
            unheard = [
                call
                for call, answer in zip(batch, answers, strict=True)
                if isinstance(answer, CacheAwayError)
            ]
            # Behind the others: one that is refused each time must not keep those back.
            for call in unheard:
                self._put(call)
            if unheard:
                return

    async def drain_all(self) -> None:
        """Make all kept calls again, as long as they are heard, for 10 s: there is no later."""
        now_s = asyncio.get_running_loop().time
        until_s, left = now_s() + _AT_THE_END_S, len(self) + 1
        while len(self) < left and now_s() < until_s:
            left = len(self)
            await self.drain()

    def _put(self, call: _Call) -> None:
        self._unheard.append(call)
        self._size_bytes += _size_of(call)

    def _take(self) -> _Call:
        call = self._unheard.popleft()
        self._size_bytes -= _size_of(call)
        return call


def _size_of(call: _Call) -> int:
    _, _, arguments = call
    return sum(len(word) for word in arguments if isinstance(word, bytes | str))
