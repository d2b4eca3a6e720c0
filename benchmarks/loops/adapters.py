"""Each provider's adapter, and its transport alone: the same calls to the same server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.calls import LIMIT_S, attempt_at, prepared_call, request_of, target_of
from benchmarks.loops.solo import SoloJob
from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.providers.http_provider import HttpProvider
from llm_worker.bootstrap.providers.configured import build_provider, usable_providers
from llm_worker.bootstrap.worker.app import load_worker_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import httpx

AT_ONCE = 50
_WARM_UP = 500


async def run(job: SoloJob) -> None:
    """Time every provider that the environment configures, in turn."""
    settings = load_worker_settings()
    built = [build_provider(settings, name, SystemClock()) for name in usable_providers(settings)]
    providers = [provider for provider in built if isinstance(provider, HttpProvider)]
    calls = [await prepared_call(provider, job.essay_bytes) for provider in providers]
    rounds: list[Mapping[str, Mapping[str, float]]] = []
    for number in range(job.rounds + 1):
        found = {
            provider.name.value: await _round(job, provider, call, is_warm=number > 0)
            for provider, call in zip(providers, calls, strict=True)
        }
        rounds.append(found)
    job.tell(rounds[1:])
    for provider in providers:
        await provider.aclose()


async def _round(
    job: SoloJob, provider: HttpProvider, call: httpx.Request, *, is_warm: bool
) -> dict[str, float]:
    async def ask_transport() -> None:
        response = await provider.transport.handle_async_request(call)
        await response.aread()
        await response.aclose()

    target = target_of(provider)
    request, attempt = request_of(job.essay_bytes, target), attempt_at(target)

    async def ask_adapter() -> None:
        await provider.judge(request, attempt, LIMIT_S)

    if not is_warm:
        await _times(_WARM_UP, ask_transport)
        await _times(_WARM_UP, ask_adapter)
        return {}
    return {
        "transport": await job.cpu_us(lambda times: _times(times, ask_transport)),
        "adapter": await job.cpu_us(lambda times: _times(times, ask_adapter)),
    }


async def _times(times: int, ask: Callable[[], Awaitable[None]]) -> None:
    """Ask so many times in all, always the same number at once."""

    async def ask_on() -> None:
        for _ in range(times // AT_ONCE):
            await ask()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(ask_on())


if __name__ == "__main__":
    asyncio.run(run(SoloJob.from_command_line()))
