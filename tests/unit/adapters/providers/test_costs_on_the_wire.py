"""A cost is a JSON number on the wire, and comes out of it as it went in."""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from uuid import UUID

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.adapters.providers.prices import PriceBook
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.events import LLMCostTrackingV1
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.verdict import Usage
from tests.support.builders import NOW
from tests.support.fakes import ManualClock

_COMPANIES: Final = (
    ProviderName.ANTHROPIC,
    ProviderName.OPENAI,
    ProviderName.GOOGLE,
    ProviderName.OPENROUTER,
)
_BOOKS: Final = {name: PriceBook(name, clock=ManualClock(NOW)) for name in _COMPANIES}
_ROWS = [
    (name, row)
    for name, book in _BOOKS.items()
    for row in book.rows("-")
    if row.input_usd is not None
]
_ENDLESS: Final = [
    (name, row.model)
    for name, row in _ROWS
    if row.cache_write_usd and len(row.cache_write_usd.as_tuple().digits) > 12
]
"""Models with a price like 1/12, which genai-prices has as 0.0833333333333333."""
_FINITE: Final = [(name, row.model) for name, row in _ROWS if (name, row.model) not in _ENDLESS]


@st.composite
def _usages(draw: st.DrawFn) -> Usage:
    fresh, read, short, hour = (draw(st.integers(0, most)) for most in (10**6, 10**6, 10**5, 10**5))
    return Usage(
        prompt_tokens=fresh + read + short + hour,
        completion_tokens=draw(st.integers(0, 128_000)),
        cache_read_tokens=read,
        cache_write_tokens=short + hour,
        cache_write_1h_tokens=hour,
    )


def _sent_and_received(name: ProviderName, model: str, cost_usd: Decimal) -> Decimal:
    some_id = UUID(int=7)
    cost = LLMCostTrackingV1(
        correlation_id=some_id,
        provider=name,
        model=model,
        cost_estimate_usd=cost_usd,
        cost_known=True,
        token_usage={},
        cached=False,
        service_name="llm-worker",
        request_timestamp=NOW,
        response_time_ms=1,
        attempt=1,
        outcome="success",
    )
    sent = EventEnvelope[LLMCostTrackingV1](
        event_id=some_id,
        event_type="cost",
        event_timestamp=NOW,
        source_service="llm-worker",
        correlation_id=some_id,
        data=cost,
    ).model_dump_json()
    assert type(orjson.loads(sent)["data"]["cost_estimate_usd"]) is float
    received = EventEnvelope[LLMCostTrackingV1].model_validate_json(sent)
    return received.data.cost_estimate_usd


@settings(max_examples=400)
@given(st.sampled_from(_FINITE), _usages())
def test_cost_comes_over_the_wire_to_the_last_digit(
    of: tuple[ProviderName, str], usage: Usage
) -> None:
    cost_usd = _BOOKS[of[0]].cost_usd(of[1], usage)
    assert cost_usd is not None
    assert Decimal(str(float(cost_usd))) == cost_usd
    assert _sent_and_received(*of, cost_usd) == cost_usd


@given(st.sampled_from(_ENDLESS), _usages())
def test_cost_with_an_endless_price_comes_over_the_wire_to_its_fifteenth_digit(
    of: tuple[ProviderName, str], usage: Usage
) -> None:
    assert of[0] is ProviderName.OPENROUTER
    cost_usd = _BOOKS[of[0]].cost_usd(of[1], usage)
    assert cost_usd is not None
    assert abs(_sent_and_received(*of, cost_usd) - cost_usd) <= cost_usd / 10**15
