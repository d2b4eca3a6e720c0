"""Who judges in the demo: the mock, for nothing, or a provider, for money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_worker import bootstrap
from llm_worker.adapters.clock import SystemClock
from llm_worker.bootstrap.providers.configured import (
    MOCK_MODEL,
    default_model,
    is_configured,
    is_enabled,
    models_of,
)
from llm_worker.bootstrap.providers.routing import lacking
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.judging import expected_usage
from llm_worker.domain.verdict import Billing, total_cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from llm_worker.contracts.request import LLMComparisonRequestV1

_ALWAYS = {"LLM_WORKER_MAX_IN_FLIGHT": "8"}
_MOCK = {
    "LLM_WORKER_USE_MOCK_LLM": "true",
    "LLM_WORKER_PROVIDERS__MOCK__LATENCY_MS": "200",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoJudge:
    """A judge, and the worker's settings for it.

    `estimate_usd` is a guess at what all requests will cost; None: the price is unknown.
    """

    provider: ProviderName
    model: str
    environment: Mapping[str, str]
    estimate_usd: Decimal | None

    @property
    def is_mock(self) -> bool:
        """Whether nothing is spent, and nothing is meant."""
        return self.provider is ProviderName.MOCK


def choose_judge(name: ProviderName, requests: Iterable[LLMComparisonRequestV1]) -> DemoJudge:
    """Give the judge; a provider by the settings that the worker will read, too.

    Raises:
        SettingsError: The provider cannot be called with them.
    """
    if name is ProviderName.MOCK:
        return DemoJudge(
            provider=name, model=MOCK_MODEL, environment=_ALWAYS | _MOCK, estimate_usd=None
        )
    settings = bootstrap.load_settings()
    if not (is_enabled(settings, name) and is_configured(settings, name)):
        remedy = lacking(settings, name)
        raise bootstrap.SettingsError(
            f"provider {name} cannot be called: {remedy}, in the environment or in .env"
        )
    model = default_model(settings, name)
    prices = models_of(settings, name, SystemClock())
    return DemoJudge(
        provider=name,
        model=model,
        environment=_ALWAYS,
        estimate_usd=total_cost(
            Billing(cost_usd=prices.cost_usd(model, expected_usage(_size_bytes(request))))
            for request in requests
        ),
    )


def _size_bytes(request: LLMComparisonRequestV1) -> int:
    texts = (request.user_prompt, request.essay_a, request.essay_b)
    return sum(len((text or "").encode()) for text in texts)
