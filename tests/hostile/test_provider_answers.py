"""Thousands of providers' answers made wrong, on real sockets, to the adapters that buy.

Each is a verdict or an error of the tree; what it cost is what its usage says, or unknown; and
nothing that must not be told is in an error.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.providers.http_provider import HttpProvider
from llm_worker.bootstrap.providers.configured import build_provider
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.outcome import Attempt, Target
from llm_worker.domain.verdict import Completion
from llm_worker.settings import load_settings
from tests.chaos.harness import FULL, sized
from tests.hostile.answers import AnswerMaker, Wire
from tests.hostile.costs import cost_told
from tests.hostile.planted import KEY, TEXT, leak_in
from tests.support.builders import NOW, request_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from decimal import Decimal
    from random import Random

pytestmark = pytest.mark.timeout(1_800 if FULL else 120)

_OVER_HTTP: Final = [name for name in ProviderName if name is not ProviderName.MOCK]
_COUNT: Final = sized(small=60, full=2_500)
_AT_ONCE: Final = 20


@dataclass(slots=True)
class _Server:
    """Answers the call to /N with the bytes that stand there."""

    wires: list[Wire]
    asked: Counter[int] = field(default_factory=Counter)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            number = int(head.split(b" ")[1].split(b"/")[1])
            self.asked[number] += 1
            writer.write(self.wires[number].written)
            await writer.drain()
        writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("name", _OVER_HTTP)
async def test_every_answer_ends_in_a_verdict_or_an_error_of_the_tree(
    name: ProviderName, draw: Random, found: Callable[[str], None]
) -> None:
    maker, began_s = AnswerMaker(draw, name), monotonic()
    server = _Server([maker.answer() for _ in range(_COUNT)])
    async with server.listening() as url:
        provider = _provider(name, url)
        endings = await _all(provider, url)
        await provider.aclose()
    assert server.asked.total() == _COUNT, "an answer led to more than one call"
    wrong = [
        complaint
        for wire, ending in zip(server.wires, endings, strict=True)
        for complaint in _complaints(provider, wire, ending)
    ]
    assert not wrong, f"{len(wrong)} of {_COUNT}:\n" + "\n".join(wrong[:20])
    kinds = Counter(type(ending).__name__ for ending in endings)
    took_s = monotonic() - began_s
    found(f"{_COUNT} answers of {name}: {took_s:.0f} s, {dict(kinds.most_common())}")
    assert kinds["Completion"] > _COUNT / 10
    assert len(kinds) > 4


def _provider(name: ProviderName, url: str) -> HttpProvider:
    prefix = f"LLM_WORKER_PROVIDERS__{name.upper()}__"
    settings = {
        f"{prefix}BASE_URL": url,
        f"{prefix}API_KEY": f"{KEY}-provider",
        "LLM_WORKER_PROVIDERS__SELF_HOSTED__DEFAULT_MODEL": "own",
        "LLM_WORKER_PROVIDERS__SELF_HOSTED__INPUT_USD_PER_MTOK": "0.07",
        "LLM_WORKER_PROVIDERS__SELF_HOSTED__OUTPUT_USD_PER_MTOK": "0.31",
    }
    provider = build_provider(load_settings(settings), name, SystemClock())
    assert isinstance(provider, HttpProvider)
    return provider


async def _all(provider: HttpProvider, url: str) -> list[object]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> object:
        async with room:
            return await _judged(replace(provider, base_url=f"{url}/{number}"))

    return await asyncio.gather(*map(one, range(_COUNT)))


async def _judged(provider: HttpProvider) -> object:
    target = Target(provider=provider.name, model=provider.default_model)
    attempt = Attempt(attempt_id=uuid4(), number=1, target=target, started_at=NOW)
    request = request_of(user_prompt=TEXT, essay_a=f"{TEXT} A", essay_b=f"{TEXT} B")
    try:
        return await provider.judge(request, attempt, 30)
    except Exception as error:  # noqa: BLE001 - which one is the question
        return error


def _complaints(provider: HttpProvider, wire: Wire, ending: object) -> list[str]:
    if not isinstance(ending, Completion | ProviderError):
        return [f"{wire.how}: {ending!r}"]
    said = [repr(ending.facts)]
    if isinstance(ending, ProviderError):
        said += [*traceback.format_exception(ending), repr(ending), ending.message]
    else:
        said.append(ending.model)
    leak = leak_in("\n".join(said))
    return [f"{wire.how}: told {leak}"] * bool(leak) + _cost_complaints(provider, wire, ending)


def _cost_complaints(
    provider: HttpProvider, wire: Wire, ending: Completion | ProviderError
) -> list[str]:
    billing: Any = ending.billing
    cost_usd: Decimal | None = billing and billing.cost_usd
    if wire.body is None:
        return []
    told = cost_told(provider.name, wire.body, provider.default_model, provider.models)
    is_verdict = isinstance(ending, Completion)
    if cost_usd == told or (cost_usd is None and not is_verdict):
        return []
    return [f"{wire.how}: cost {cost_usd} and not {told}, {type(ending).__name__}: {wire.body}"]
