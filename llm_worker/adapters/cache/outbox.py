"""What Redis has to hear in the end: sent again, when it is back, where it did not."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from llm_worker.adapters.cache.link import CacheAwayError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.adapters.cache.link import RedisLink
    from llm_worker.adapters.cache.script import Script
    from llm_worker.adapters.cache.sending import Word

_REMEMBERED: Final = 10_000
"""Calls, the oldest go first; an outcome takes about 2 kB, so 20 MB at most."""
_AT_ONCE: Final = 100
"""Calls of one batch: it ends well within the link's budget, beside what others ask."""


class Outbox:
    """Calls whose answer nobody waits for, and that others would wait for in vain.

    Its scripts may run late and more than once.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._unheard: deque[tuple[Script, Sequence[str], tuple[Word, ...]]] = deque(
            maxlen=_REMEMBERED
        )

    def __len__(self) -> int:
        return len(self._unheard)

    def post(self, script: Script, keys: Sequence[str], *arguments: Word) -> None:
        """Call a script, and keep the call where Redis does not answer."""
        self._link.post_later(
            script, keys, *arguments, unheard=partial(self.keep, script, keys, *arguments)
        )

    def keep(self, script: Script, keys: Sequence[str], *arguments: Word) -> None:
        """Keep a call for the next time that Redis answers."""
        self._unheard.append((script, keys, arguments))

    async def drain(self) -> None:
        """Make the kept calls again, batch by batch, until all are heard or one is not."""
        while self._unheard:
            batch = [self._unheard.popleft() for _ in range(min(_AT_ONCE, len(self._unheard)))]
            made = [self._link.run(script, keys, *said) for script, keys, said in batch]
            answers = await asyncio.gather(*made, return_exceptions=True)
            unheard = [
                call
                for call, answer in zip(batch, answers, strict=True)
                if isinstance(answer, CacheAwayError)
            ]
            # Behind the others: one that is refused each time must not keep those back.
            self._unheard.extend(unheard)
            if unheard:
                return
