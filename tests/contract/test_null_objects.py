"""What is switched off is a null object: it answers, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pytest
from opentelemetry.sdk.trace import TracerProvider

from llm_worker.adapters.telemetry.tracing import OtelTracing
from llm_worker.application.slots import Grant
from llm_worker.application.tracing import NO_TRACING
from llm_worker.domain.attempt_events import started_event
from llm_worker.domain.outcome import LetGo
from llm_worker.domain.request import ComparisonRequest
from tests.support.builders import attempt_of, codec_of, completion_of, request_of

if TYPE_CHECKING:
    from llm_worker.application.tracing import Tracing
    from llm_worker.domain.outcome import Ending, Rejected

GivenT = TypeVar("GivenT")


def _otel() -> Tracing:
    return OtelTracing(TracerProvider(shutdown_on_exit=False), group="workers", servers={})


@pytest.mark.parametrize("tracing", [NO_TRACING, _otel()], ids=["none", "OpenTelemetry"])
async def test_every_tracing_gives_what_each_step_gives_and_raises_what_it_raises(
    tracing: Tracing,
) -> None:
    request, finished = request_of(), attempt_of(completion_of())
    records = (codec_of().render(started_event(request, finished.attempt)),)

    async def steps(arrived: ComparisonRequest | Rejected) -> Ending:
        assert await tracing.looking_up(_giving(Grant.GRANTED)) is Grant.GRANTED
        call = _giving(finished)
        assert await tracing.attempting(request, finished.attempt, call) is finished
        assert await tracing.publishing(records, _giving(records)) is records
        with pytest.raises(LookupError):
            await tracing.publishing(records, _raising(LookupError()))
        assert isinstance(arrived, ComparisonRequest)
        assert replace(arrived, trace=request.trace) == request
        return LetGo()

    assert await tracing.consuming(request, steps) == LetGo()
    with pytest.raises(LookupError):
        await tracing.consuming(request, lambda _arrived: _raising(LookupError()))
    await tracing.aclose()


async def _giving(found: GivenT) -> GivenT:
    return found


async def _raising(error: Exception) -> Ending:
    raise error
