from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices.data import providers as companies
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    TimeOfDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.providers import prices
from llm_worker.adapters.providers.catalog import FlatPrices, ModelRow, PricedModels
from llm_worker.adapters.providers.prices import PriceBook
from llm_worker.bootstrap.providers.configured import models_of
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.verdict import Usage
from llm_worker.settings import load_settings
from tests.support.fakes import ManualClock

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
COMPANIES = (
    ProviderName.ANTHROPIC,
    ProviderName.OPENAI,
    ProviderName.GOOGLE,
    ProviderName.OPENROUTER,
)
BOOKS = {name: PriceBook(name, clock=ManualClock(NOW)) for name in COMPANIES}
MODELS = [
    (name, model.id)
    for name in COMPANIES
    for model in next(each for each in companies if each.id == name).models
    if not (name is ProviderName.GOOGLE and model.id.startswith("claude-"))
]
USAGE = Usage(prompt_tokens=10_000, completion_tokens=1_000, cache_read_tokens=6_000)


def library_cost(
    name: ProviderName, model: str, usage: Usage, at: datetime = NOW, **context: str
) -> Decimal | None:
    counts: dict[str, Any] = {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
    }
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(**counts),
            model,
            provider_id=name,
            genai_request_timestamp=at,
            price_context=context,
        )
    except (LookupError, ValueError):
        return None
    # It prices at 0 whatever it has no price of.
    is_free = model.endswith(":free") or model.startswith("gemma-")
    return found.total_price if vars(found.model_price) or is_free else None


counts = st.integers(0, 2_000) | st.sampled_from([100_000, 100_001, 200_000, 272_001, 600_000])
usages = st.builds(
    Usage,
    prompt_tokens=counts,
    completion_tokens=counts,
    cache_read_tokens=st.none() | counts,
    cache_write_tokens=st.none() | counts,
    cache_write_1h_tokens=st.none() | st.integers(0, 2_000),
    reasoning_tokens=st.none() | counts,
)


@given(st.sampled_from(MODELS), usages)
def test_cost_is_the_librarys_own(of: tuple[ProviderName, str], usage: Usage) -> None:
    name, model = of
    assert BOOKS[name].cost_usd(model, usage) == library_cost(name, model, usage)


@pytest.mark.parametrize("written", [0, 1_000])
def test_every_model_of_the_library_costs_what_it_says(written: int) -> None:
    usage = Usage(
        prompt_tokens=9_000,
        completion_tokens=700,
        cache_read_tokens=2_000,
        cache_write_tokens=written,
    )
    costs = {(name, model): BOOKS[name].cost_usd(model, usage) for name, model in MODELS}
    assert costs == {(name, model): library_cost(name, model, usage) for name, model in MODELS}
    assert sum(cost is not None for cost in costs.values()) > 1000


@pytest.mark.parametrize(
    ("name", "model", "usage", "usd"),
    [
        # By hand: 4,000 fresh at 0.1, 6,000 read at 0.01, 1,000 out at 0.5 a million.
        (ProviderName.OPENAI, "gpt-6-luna", USAGE, "0.00096"),
        # 8,000 tokens, 6,000 of them read from the cache.
        (
            ProviderName.ANTHROPIC,
            "claude-haiku-5-5",
            Usage(prompt_tokens=8_000, completion_tokens=1_000, cache_read_tokens=6_000),
            "0.00076",
        ),
        # 2,000 fresh at 4, 6,000 read at 0.2, 500 written at 5, 1,500 at 8, 1,000 out at 20.
        (
            ProviderName.ANTHROPIC,
            "claude-opus-5-5",
            Usage(
                prompt_tokens=10_000,
                completion_tokens=1_000,
                cache_read_tokens=6_000,
                cache_write_tokens=2_000,
                cache_write_1h_tokens=1_500,
            ),
            "0.0437",
        ),
        (ProviderName.GOOGLE, "gemini-3.8-flash", USAGE, "0.0072"),
        (ProviderName.GOOGLE, "gemma-4-31b-it", USAGE, "0"),
    ],
)
def test_cost_is_what_the_price_list_gives_by_hand(
    name: ProviderName, model: str, usage: Usage, usd: str
) -> None:
    assert BOOKS[name].cost_usd(model, usage) == Decimal(usd)


def test_long_prompt_has_the_price_of_its_tier() -> None:
    book = BOOKS[ProviderName.ANTHROPIC]
    short, long = (
        book.cost_usd("claude-haiku-5-5", Usage(prompt_tokens=tokens, completion_tokens=0))
        for tokens in (100_000, 100_001)
    )
    assert short == Decimal("0.01")
    assert long == Decimal("0.0500005")


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(prompt_tokens=1),
        Usage(completion_tokens=1),
        Usage(prompt_tokens=5, completion_tokens=1, cache_read_tokens=6),
        Usage(prompt_tokens=5, completion_tokens=1, cache_read_tokens=3, cache_write_tokens=3),
        Usage(prompt_tokens=5, completion_tokens=1, cache_write_1h_tokens=6),
        Usage(prompt_tokens=-1, completion_tokens=1),
        Usage(prompt_tokens=1, completion_tokens=-1),
        Usage(prompt_tokens=5, completion_tokens=1, cache_read_tokens=-1),
    ],
)
def test_usage_that_is_missing_or_cannot_be_has_no_known_cost(usage: Usage) -> None:
    assert BOOKS[ProviderName.ANTHROPIC].cost_usd("claude-haiku-5-5", usage) is None


def test_model_without_a_price_has_no_known_cost() -> None:
    book = PriceBook(
        ProviderName.ANTHROPIC, clock=ManualClock(NOW), also_known=("claude-mythos-5-1",)
    )
    assert book.knows("claude-mythos-5-1")
    assert book.cost_usd("claude-mythos-5-1", USAGE) is None


# Service tiers.


def test_tier_that_the_model_has_is_priced() -> None:
    flex = BOOKS[ProviderName.OPENAI].cost_usd("gpt-6-luna", USAGE, "flex")
    assert flex == Decimal("0.00048")
    assert flex == library_cost(ProviderName.OPENAI, "gpt-6-luna", USAGE, service_tier="flex")


@pytest.mark.parametrize(
    ("name", "model", "tier"),
    [
        (ProviderName.OPENAI, "gpt-6-luna", "scale"),
        (ProviderName.OPENAI, "gpt-6-luna", "Flex"),
        (ProviderName.ANTHROPIC, "claude-opus-5-5", "priority"),
        (ProviderName.ANTHROPIC, "claude-opus-5-5", "fast"),
        (ProviderName.GOOGLE, "gemini-3.8-flash", "flex"),
    ],
)
def test_tier_without_a_price_is_unknown_and_not_the_standard_one(
    name: ProviderName, model: str, tier: str
) -> None:
    assert BOOKS[name].cost_usd(model, USAGE) is not None
    assert BOOKS[name].cost_usd(model, USAGE, tier) is None


def test_tier_is_unknown_before_the_day_of_its_price() -> None:
    book = PriceBook(ProviderName.OPENAI, clock=ManualClock(datetime(2026, 10, 1, tzinfo=UTC)))
    assert book.cost_usd("gpt-6-luna", USAGE, "flex") is None


# Prices that change.


def test_price_follows_the_day() -> None:
    clock = ManualClock(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    book = PriceBook(ProviderName.GOOGLE, clock=clock)
    costs = []
    for _ in range(2):
        cost = book.cost_usd("gemini-3.8-flash", USAGE)
        assert cost == library_cost(ProviderName.GOOGLE, "gemini-3.8-flash", USAGE, clock.now())
        costs.append(cost)
        clock.advance(1)
    assert costs[0] != costs[1]


def test_price_follows_the_hour_where_it_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    day, night = Decimal(2), Decimal(1)
    model = ModelInfo(
        id="night-owl",
        match=ClauseEquals(equals="night-owl"),
        prices=[
            ConditionalPrice(prices=ModelPrice(input_mtok=day, output_mtok=day)),
            ConditionalPrice(
                constraint=TimeOfDateConstraint(start_time=time(0), end_time=time(6)),
                prices=ModelPrice(input_mtok=night, output_mtok=night),
            ),
        ],
    )
    openai = next(each for each in companies if each.id == "openai")
    monkeypatch.setattr(openai, "models", [model])
    clock = ManualClock(datetime(2026, 11, 23, 5, 59, tzinfo=UTC))
    book = PriceBook(ProviderName.OPENAI, clock=clock)
    usage = Usage(prompt_tokens=500_000, completion_tokens=500_000)
    assert book.cost_usd("night-owl", usage) == night
    clock.advance(timedelta(minutes=1).total_seconds())
    assert book.cost_usd("night-owl", usage) == day


def test_price_of_another_kind_is_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelInfo(
        id="per-call",
        match=ClauseEquals(equals="per-call"),
        prices=ModelPrice(
            input_mtok=Decimal(1), output_mtok=Decimal(1), requests_kcount=Decimal(5)
        ),
    )
    openai = next(each for each in companies if each.id == "openai")
    monkeypatch.setattr(openai, "models", [model])
    book = PriceBook(ProviderName.OPENAI, clock=ManualClock(NOW))
    cost = book.cost_usd("per-call", Usage(prompt_tokens=0, completion_tokens=0))
    assert cost == Decimal("0.005")


# Names.


@pytest.mark.parametrize(
    ("name", "model"),
    [
        (ProviderName.OPENAI, "gpt-6-luna"),
        (ProviderName.OPENAI, "gpt-6-luna-2026-09-22"),
        (ProviderName.OPENAI, "gpt-5.2-20251211"),
        (ProviderName.ANTHROPIC, "claude-haiku-5-5-20261007"),
        (ProviderName.ANTHROPIC, "claude-haiku-4-5-20251001"),
        (ProviderName.ANTHROPIC, "claude-sonnet-4-20250514"),
        (ProviderName.GOOGLE, "gemini-flash-latest"),
        (ProviderName.GOOGLE, "gemini-2.5-pro-preview-05-06"),
        (ProviderName.GOOGLE, "gemini-2.5-flash-lite-preview-09-2025"),
        (ProviderName.GOOGLE, "gemini-2.0-flash-001"),
        (ProviderName.GOOGLE, "gemma-4-31b-it"),
        (ProviderName.OPENROUTER, "anthropic/claude-opus-5.5"),
        (ProviderName.OPENROUTER, "~anthropic/claude-opus-latest"),
    ],
)
def test_models_and_their_versions_are_known_and_priced(name: ProviderName, model: str) -> None:
    assert BOOKS[name].knows(model)
    assert BOOKS[name].cost_usd(model, USAGE) == library_cost(name, model, USAGE)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        (ProviderName.OPENAI, "gpt-6-lunaa"),
        (ProviderName.OPENAI, "gpt-6"),
        (ProviderName.OPENAI, "GPT-6-luna"),
        (ProviderName.ANTHROPIC, "claude-hiaku-5-5"),
        (ProviderName.ANTHROPIC, "claude-haiku-4-5x"),
        (ProviderName.ANTHROPIC, "claude-haiku-4-5-turbo"),
        (ProviderName.ANTHROPIC, ""),
        (ProviderName.GOOGLE, "gemini-3.8-flashh"),
        (ProviderName.GOOGLE, "gemini-3.8-flash-mini"),
        (ProviderName.GOOGLE, "my-gemini-1.5-flash"),
        (ProviderName.GOOGLE, "claude-haiku-4-5"),
        (ProviderName.OPENROUTER, "claude-opus-5.5"),
        (ProviderName.OPENROUTER, "anthropic/claude-opus-5.5:nitro"),
    ],
)
def test_names_that_are_nearly_right_are_neither_known_nor_priced(
    name: ProviderName, model: str
) -> None:
    assert not BOOKS[name].knows(model)
    assert BOOKS[name].cost_usd(model, USAGE) is None


@pytest.mark.parametrize("model", ["text-embedding-3-small", "whisper-1", "tts-1"])
def test_models_that_answer_no_text_are_not_known(model: str) -> None:
    assert not BOOKS[ProviderName.OPENAI].knows(model)


def test_models_that_our_dialect_cannot_use_are_not_known_unless_an_operator_says_so() -> None:
    unusable = ("o1-pro", "o1-pro-2025-03-19")
    book = PriceBook(ProviderName.OPENAI, clock=ManualClock(NOW), unusable=unusable)
    assert not any(book.knows(model) for model in unusable)
    assert "o1-pro" not in book.nearest("o1-proo")
    insistent = PriceBook(
        ProviderName.OPENAI, clock=ManualClock(NOW), unusable=unusable, also_known=["o1-pro"]
    )
    assert insistent.knows("o1-pro")


def test_nearest_names_are_three_at_most_and_known() -> None:
    book = BOOKS[ProviderName.ANTHROPIC]
    assert book.nearest("claude-hiaku-5-5")[0] == "claude-haiku-5-5"
    assert len(book.nearest("claude-hiaku-5-5")) <= 3
    assert all(book.knows(name) for name in book.nearest("claude-hiaku-5-5"))
    assert book.nearest("x" * 1_000_000) == ()


@pytest.mark.parametrize("name", COMPANIES)
def test_every_name_in_the_list_is_known_and_priced(name: ProviderName) -> None:
    rows = BOOKS[name].rows("default")
    assert len(rows) > 20
    for row in rows:
        if row.model != "default":
            assert BOOKS[name].knows(row.model), row.model
            assert row.input_usd is not None, row.model


def test_nearest_names_have_those_that_were_added() -> None:
    book = PriceBook(ProviderName.OPENAI, clock=ManualClock(NOW), also_known=["gpt-6.2-sol"])
    assert book.nearest("gpt-6.2-sool")[0] == "gpt-6.2-sol"


def test_list_has_prices_defaults_and_models_without_a_price() -> None:
    book = PriceBook(
        ProviderName.ANTHROPIC, clock=ManualClock(NOW), also_known=["claude-mythos-5-1"]
    )
    rows = {row.model: row for row in book.rows("claude-haiku-5-5")}
    assert rows["claude-haiku-5-5"] == ModelRow(
        model="claude-haiku-5-5",
        input_usd=Decimal("0.1"),
        output_usd=Decimal("0.5"),
        cache_read_usd=Decimal("0.01"),
        cache_write_usd=Decimal("0.125"),
        is_default=True,
    )
    assert rows["claude-mythos-5-1"] == ModelRow(model="claude-mythos-5-1")
    assert [row.model for row in rows.values()] == sorted(rows)


def test_list_has_the_default_model_whatever_it_is() -> None:
    rows = BOOKS[ProviderName.OPENAI].rows("gpt-6-luna-2026-09-22")
    (default,) = [row for row in rows if row.is_default]
    assert default.model == "gpt-6-luna-2026-09-22"
    assert default.input_usd == Decimal("0.1")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        (ProviderName.OPENROUTER, "google/lyria-3-pro-preview"),
        (ProviderName.OPENROUTER, "gemini-2.5-pro-exp-03-25"),
        (ProviderName.OPENAI, "moderation"),
    ],
)
def test_model_that_the_library_lists_without_a_price_is_no_free_judge(
    name: ProviderName, model: str
) -> None:
    assert BOOKS[name].cost_usd(model, USAGE) is None
    assert not BOOKS[name].knows(model)


def test_list_says_what_is_deprecated_and_what_is_free() -> None:
    rows = {row.model: row for row in BOOKS[ProviderName.GOOGLE].rows("gemini-3.8-flash")}
    assert rows["gemini-2.0-flash"].is_deprecated
    assert not rows["gemini-3.8-flash"].is_deprecated
    assert rows["gemma-4-31b-it"].output_usd == 0


def test_memory_for_names_is_bounded() -> None:
    book = PriceBook(ProviderName.OPENROUTER, clock=ManualClock(NOW))
    assert not book.knows("x" * 1_000_000)
    assert book._find.cache_info().currsize == 0
    for number in range(prices._NAMES_KEPT + 10):
        book.cost_usd(f"no-such-model-{number}", USAGE)
    assert book._find.cache_info().currsize == prices._NAMES_KEPT


# One price for everything.


def test_own_machine_knows_every_name_and_costs_nothing_by_default() -> None:
    models: PricedModels = FlatPrices()
    assert models.knows("llama-of-yesterday")
    assert models.nearest("llama-of-yesterday") == ()
    assert models.cost_usd("llama-of-yesterday", Usage()) == 0


def test_own_machine_may_have_a_price() -> None:
    models: PricedModels = FlatPrices(input_usd=Decimal(2), output_usd=Decimal("0.5"))
    assert models.cost_usd("x", USAGE) == Decimal("0.0205")
    assert models.cost_usd("x", Usage(prompt_tokens=1)) is None
    assert models.rows("x") == (
        ModelRow(model="x", input_usd=Decimal(2), output_usd=Decimal("0.5"), is_default=True),
    )


# Surcharges.


@pytest.mark.parametrize(
    ("base_url", "model", "factor"),
    [
        ("https://eu.api.openai.com/v1", "gpt-6-luna", "1.1"),
        ("https://me:pw@US.api.openai.com:443/v1", "gpt-5.4", "1.1"),
        ("https://eu.api.openai.com/v1", "gpt-5.4-mini", "1.1"),
        ("https://eu.api.openai.com/v1", "gpt-5.2", "1"),
        ("https://eu.api.openai.com/v1", "gpt-5-mini", "1"),
        ("https://eu.api.openai.com/v1", "gpt-5", "1"),
        ("https://eu.api.openai.com/v1", "gpt-4.1", "1"),
        ("https://eu.api.openai.com/v1", "o3", "1"),
        ("https://api.openai.com/v1", "gpt-6-luna", "1"),
        ("https://eu.api.openai.com.example.org/v1", "gpt-6-luna", "1"),
        ("http://127.0.0.1:1/v1", "gpt-6-luna", "1"),
    ],
)
def test_data_residency_costs_a_tenth_more_for_models_that_are_newer(
    base_url: str, model: str, factor: str
) -> None:
    settings = load_settings({"LLM_WORKER_PROVIDERS__OPENAI__BASE_URL": base_url})
    book = models_of(settings, ProviderName.OPENAI, ManualClock(NOW))
    at_list_price = library_cost(ProviderName.OPENAI, model, USAGE)
    assert at_list_price is not None
    assert book.cost_usd(model, USAGE) == at_list_price * Decimal(factor)
    listed = {row.model: row for row in BOOKS[ProviderName.OPENAI].rows("gpt-6-luna")}[model]
    [row] = [row for row in book.rows("gpt-6-luna") if row.model == model]
    assert row.output_usd == (listed.output_usd or 0) * Decimal(factor)
