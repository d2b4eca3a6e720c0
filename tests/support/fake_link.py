"""Links to Redis that a test can cut: one with made-up answers, one around the real thing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from llm_worker.adapters.cache.link import CacheAwayError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_worker.adapters.cache.link import RedisLink
    from llm_worker.adapters.cache.script import Script


@dataclass(slots=True)
class FakeLink:
    """Answers each script or command by its name: the next of its list, whose last one stays."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    is_away: bool = False
    failure_count: int = 0

    @property
    def is_available(self) -> bool:
        return not self.is_away

    def run(self, script: Script, keys: Sequence[str], *arguments: object) -> asyncio.Future[Any]:
        return self._answer(script.name, (*keys, *arguments))

    def command(self, *words: object) -> asyncio.Future[Any]:
        return self._answer(str(words[0]), words[1:])

    def post_later(
        self,
        script: Script,
        keys: Sequence[str],
        *arguments: object,
        unheard: Callable[[], None],
    ) -> None:
        self.asked.append((script.name, (*keys, *arguments)))
        if self.is_away:
            unheard()

    def _answer(self, name: str, words: tuple[Any, ...]) -> asyncio.Future[Any]:
        self.asked.append((name, words))
        future = asyncio.get_running_loop().create_future()
        if self.is_away:
            future.set_exception(CacheAwayError("away"))
        else:
            answers = self.answers.get(name, [1])
            future.set_result(answers.pop(0) if len(answers) > 1 else answers[0])
        return future

    @property
    def names(self) -> list[str]:
        """What was asked, in order."""
        return [name for name, _ in self.asked]

    @property
    def link(self) -> RedisLink:
        """As its users know it."""
        return cast("RedisLink", self)


@dataclass(slots=True)
class CutLink:
    """A real link; while it is cut nothing is sent."""

    real: RedisLink
    is_cut: bool = False

    @property
    def is_available(self) -> bool:
        return not self.is_cut and self.real.is_available

    @property
    def failure_count(self) -> int:
        return self.real.failure_count

    def run(
        self, script: Script, keys: Sequence[str | bytes], *arguments: bytes | str | int
    ) -> asyncio.Future[Any]:
        return _away() if self.is_cut else self.real.run(script, keys, *arguments)

    def command(self, *words: bytes | str | int) -> asyncio.Future[Any]:
        return _away() if self.is_cut else self.real.command(*words)

    def post_later(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        *arguments: bytes | str | int,
        unheard: Callable[[], None],
    ) -> None:
        if self.is_cut:
            unheard()
        else:
            self.real.post_later(script, keys, *arguments, unheard=unheard)

    @property
    def link(self) -> RedisLink:
        """As its users know it."""
        return cast("RedisLink", self)


def _away() -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    future.set_exception(CacheAwayError("away"))
    return future
