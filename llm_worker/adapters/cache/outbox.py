"""What Redis has to hear in the end: sent again, when it is back, where it did not."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.adapters.cache.link import RedisLink
    from llm_worker.adapters.cache.script import Script
    from llm_worker.adapters.cache.sending import Word

_REMEMBERED: Final = 10_000
"""Calls, the oldest go first; an outcome takes about 2 kB, so 20 MB at most."""


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

    def send(self) -> None:
        """Make all kept calls again."""
        unheard, self._unheard = self._unheard, deque(maxlen=_REMEMBERED)
        for script, keys, arguments in unheard:
            self.post(script, keys, *arguments)
