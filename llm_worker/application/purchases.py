"""One call for many: requests that ask the same at the same time share one purchase."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from llm_worker.application.bell import Lookout
from llm_worker.application.ports import Turn
from llm_worker.application.slots import Grant
from llm_worker.domain.cached import CacheHit, CacheTier
from llm_worker.domain.errors import (
    PromptTooLongError,
    ProviderError,
    RefusedError,
    RequestRefusedError,
    TruncatedAnswerError,
)
from llm_worker.domain.outcome import Failed

if TYPE_CHECKING:
    from llm_worker.application.bell import Bell
    from llm_worker.application.ports import VerdictCache
    from llm_worker.domain.cached import CachedVerdict
    from llm_worker.domain.outcome import LetGo
    from llm_worker.domain.routing import Route

    Shared = CacheHit | ProviderError
    Joined = Shared | Grant

_EVERYBODYS: Final = (RefusedError, PromptTooLongError, TruncatedAnswerError, RequestRefusedError)
"""Failures of the question: asked again, it would be answered so again."""


def shared_failure(ending: Failed | LetGo | None, route: Route) -> ProviderError | None:
    """Give the failure that everybody with the same question would meet, None for any other.

    Every target of the route must have been asked, and have failed by the question.
    """
    if not isinstance(ending, Failed) or not isinstance(ending.error, ProviderError):
        return None
    asked = {each.attempt.target for each in ending.attempts}
    is_question = all(isinstance(each.ending, _EVERYBODYS) for each in ending.attempts)
    return ending.error if is_question and asked.issuperset(route.targets) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """Finds verdicts in the cache, and lets one request buy for all that ask the same meanwhile."""

    cache: VerdictCache
    bell: Bell
    _under_way: dict[str, list[asyncio.Future[Shared | Grant]]] = field(
        default_factory=dict, init=False
    )

    def look_ahead(self, fingerprint: str) -> None:
        """Begin to look, for a `join` or a `never_mind` that follows."""
        if fingerprint not in self._under_way:
            self.cache.look_ahead(fingerprint)

    def never_mind(self, fingerprint: str) -> None:
        """Give back what was begun."""
        self.cache.never_mind(fingerprint)

    async def join(self, fingerprint: str, until_s: float) -> Joined:
        """Wait for the answer, at most until the monotonic `until_s`.

        GRANTED: nobody has it, so buy it, and then say `bought` or `failed`. EXPIRED and LET_GO:
        the wait is over without an answer.
        """
        while True:
            followers = self._under_way.get(fingerprint)
            if followers is None:
                return await self._lead(fingerprint, until_s)
            if not self.bell.is_open:
                return Grant.LET_GO
            answer = await self._follow(followers, until_s)
            if answer is not Grant.TURNED_AWAY:
                return answer

    def bought(self, fingerprint: str, verdict: CachedVerdict) -> None:
        """Give the verdict to all who wait for it, and to those who ask later."""
        self.cache.keep(fingerprint, verdict)
        self._end(fingerprint, CacheHit(verdict=verdict, tier=CacheTier.LOCAL))

    def failed(self, fingerprint: str, error: ProviderError | None) -> None:
        """Give the failure to all who wait; None: it was the buyer's own, let the next one buy."""
        self.cache.pass_on(fingerprint)
        self._end(fingerprint, error or Grant.TURNED_AWAY)

    def keep(self, fingerprint: str, verdict: CachedVerdict) -> None:
        """Remember a verdict that nobody waits for."""
        self.cache.keep(fingerprint, verdict)

    def let_go(self) -> None:
        """Send all who wait for another's purchase away, and every later one, until `reopen`."""
        self.bell.let_go()
        for followers in self._under_way.values():
            for each in followers:
                _settle(each, Grant.LET_GO)
            followers.clear()

    def reopen(self) -> None:
        """Let requests wait again."""
        self.bell.reopen()

    async def _lead(self, fingerprint: str, until_s: float) -> Joined:
        """Ask for everybody, until there is an answer or it is our turn to buy."""
        self._under_way[fingerprint] = []
        found: Joined = Grant.TURNED_AWAY
        try:
            found = await self._look(fingerprint, until_s)
        finally:
            if found is not Grant.GRANTED:
                # That our own wait is over means nothing for the others.
                answer = Grant.TURNED_AWAY if isinstance(found, Grant) else found
                self._end(fingerprint, answer)
        return found

    async def _look(self, fingerprint: str, until_s: float) -> Joined:
        lookout, now_s = Lookout(self.bell), asyncio.get_running_loop().time
        while (found := await self.cache.find(fingerprint)) is Turn.LOOK_AGAIN:
            if now_s() >= until_s:
                return Grant.EXPIRED
            if not await lookout.pause(until_s):
                return Grant.LET_GO
        return Grant.GRANTED if found is Turn.BUY else found

    @staticmethod
    async def _follow(followers: list[asyncio.Future[Joined]], until_s: float) -> Joined:
        turn: asyncio.Future[Joined] = asyncio.get_running_loop().create_future()
        followers.append(turn)
        try:
            async with asyncio.timeout_at(until_s):
                return await turn
        except TimeoutError:
            return turn.result() if turn.done() and not turn.cancelled() else Grant.EXPIRED

    def _end(self, fingerprint: str, answer: Joined) -> None:
        for each in self._under_way.pop(fingerprint, ()):
            _settle(each, answer)


def _settle(turn: asyncio.Future[Joined], answer: Joined) -> None:
    if not turn.done():
        turn.set_result(answer)
