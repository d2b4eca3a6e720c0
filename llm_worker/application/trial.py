"""One tiny real call to one provider, outside of Kafka: does it judge, and at what price?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

from llm_worker.contracts.request import (
    LLMComparisonRequestV1,
    LLMConfigOverrides,
    OutputVerbosity,
)
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.delivery import Delivery
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.outcome import Attempt, FinishedAttempt, Target
from llm_worker.domain.request import ComparisonRequest, build_prompt

if TYPE_CHECKING:
    from llm_worker.application.ports import Clock, Provider
    from llm_worker.domain.verdict import Completion

_ASKED: Final = LLMComparisonRequestV1(
    user_prompt="Which of these two essays says more about the sea?",
    essay_a="The sea is large. Ships cross it, fish live in it, and the moon moves its tides.",
    essay_b="I like my bicycle. It is red.",
    llm_config_overrides=LLMConfigOverrides(output_verbosity=OutputVerbosity.LOW),
)


async def try_out(provider: Provider, clock: Clock, *, model: str | None = None) -> FinishedAttempt:
    """Buy one verdict on two tiny essays, within the provider's own timeout.

    Like any other call it costs money: with a cheap model a fraction of a cent. It stands in no
    cost event, since there is no request that it belongs to. The provider is not closed.
    """
    attempt = Attempt(
        attempt_id=uuid4(),
        number=1,
        target=Target(provider=provider.name, model=model or provider.default_model),
        started_at=clock.now(),
    )
    started_s = clock.monotonic()
    ending: Completion | ProviderError
    try:
        ending = await provider.judge(_request(clock, provider), attempt, provider.timeout_s)
    except ProviderError as error:
        ending = error
    return FinishedAttempt(
        attempt=attempt,
        ended_at=clock.now(),
        response_time_ms=round((clock.monotonic() - started_s) * 1000),
        ending=ending,
    )


def _request(clock: Clock, provider: Provider) -> ComparisonRequest:
    now_s = clock.monotonic()
    return ComparisonRequest(
        request_id=uuid4(),
        data_hash=b"",
        correlation_id=uuid4(),
        trace={},
        asked=_ASKED,
        prompt=build_prompt(_ASKED),
        delivery=Delivery(
            lane=Lane.NORMAL,
            topic="",
            partition=0,
            offset=0,
            generation=0,
            key=None,
            value=None,
            headers=(),
            received_s=now_s,
        ),
        requested_at=clock.now(),
        deadline_s=now_s + provider.timeout_s,
    )
