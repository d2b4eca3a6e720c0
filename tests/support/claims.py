"""A pipeline whose outcome store does as a test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llm_worker.domain.claim import Claim, LeftBehind
from llm_worker.domain.request import ComparisonRequest
from tests.support.builders import body_of, codec_of, delivery_of
from tests.support.core import Core
from tests.support.fake_outcomes import FakeOutcomes
from tests.support.wire import data_of

if TYPE_CHECKING:
    from llm_worker.application.pipeline import Pipeline
    from llm_worker.domain.delivery import Delivery
    from llm_worker.domain.outcome import Ending

COST_TOPIC = "huleedu.llm_provider.cost_tracking.v1"


@dataclass(slots=True)
class ClaimsBench:
    """A pipeline whose store does as it is told, and one request."""

    store: FakeOutcomes = field(default_factory=FakeOutcomes)
    core: Core = field(default_factory=Core)
    body: dict[str, Any] = field(default_factory=body_of)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        self.core.outcomes = self.store
        self.core.attempts_at_most = 1
        self.pipeline = self.core.pipeline()

    @property
    def delivery(self) -> Delivery:
        now_s = asyncio.get_running_loop().time()
        return replace(delivery_of(self.body), received_s=now_s)

    @property
    def request(self) -> ComparisonRequest:
        request = codec_of().decode(delivery_of(self.body))
        assert isinstance(request, ComparisonRequest)
        return request

    def claim(self, left_behind: LeftBehind | None = None, token: str = "ours") -> Claim:  # noqa: S107 - no password
        request = self.request
        claim = Claim(request_id=request.request_id, data_hash=request.data_hash, token=token)
        return replace(claim, left_behind=left_behind) if left_behind else claim

    async def handle(self) -> Ending:
        return await self.pipeline.handle(self.delivery)

    def costs(self) -> list[dict[str, Any]]:
        held = self.core.publisher.held
        return [data_of(record.value) for record in held if record.topic == COST_TOPIC]
