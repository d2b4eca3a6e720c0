"""What a call costs from the bytes of its answer on, each sum worked out beside it.

The usage is in tests/support/recorded_usage; no live provider was reached, so it has the form of
the SDKs' types. The prices are those of genai-prices 0.2.3 on 23 November 2026.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import anthropic.types
import httpx
import openai.types
import openrouter.components
import orjson
import pytest
from google.genai import types

from llm_worker.adapters.providers.anthropic import AnthropicDialect
from llm_worker.adapters.providers.google import GoogleDialect
from llm_worker.adapters.providers.http_provider import HttpProvider
from llm_worker.adapters.providers.openai import OpenAIDialect
from llm_worker.adapters.providers.openrouter import OpenRouterDialect
from llm_worker.adapters.providers.self_hosted import SelfHostedDialect
from llm_worker.bootstrap.providers.configured import build_provider, models_of
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.outcome import Attempt, Target
from llm_worker.settings import load_settings
from tests.support.builders import NOW, request_of
from tests.support.fakes import ManualClock
from tests.support.recorded import KEY, VERDICT

if TYPE_CHECKING:
    from pydantic import BaseModel

    from llm_worker.adapters.providers.dialect import Dialect

_A, _O, _G = ProviderName.ANTHROPIC, ProviderName.OPENAI, ProviderName.GOOGLE
_R, _S, _M = ProviderName.OPENROUTER, ProviderName.SELF_HOSTED, ProviderName.MOCK
_USAGE: Final[dict[ProviderName, dict[str, Any]]] = {
    name: orjson.loads(
        (Path(__file__).parents[3] / f"support/recorded_usage/{name}.json").read_bytes()
    )
    for name in (_A, _O, _G, _R, _S)
}
_DIALECTS: Final[dict[ProviderName, Dialect]] = {
    _A: AnthropicDialect(api_key=KEY),
    _O: OpenAIDialect(api_key=KEY),
    _G: GoogleDialect(api_key=KEY),
    _R: OpenRouterDialect(api_key=KEY),
    _S: SelfHostedDialect(),
}
_CHAT = {"choices": [{"finish_reason": "stop", "message": {"content": VERDICT}}]}
_VERDICTS: Final[dict[ProviderName, dict[str, Any]]] = {
    _A: {"stop_reason": "end_turn", "content": [{"type": "text", "text": VERDICT}]},
    _G: {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": VERDICT}]}}]},
    _O: _CHAT,
    _R: _CHAT,
    _S: _CHAT,
}
_TYPES: Final[dict[ProviderName, type[BaseModel]]] = {
    _A: anthropic.types.Usage,
    _O: openai.types.CompletionUsage,
    _G: types.GenerateContentResponseUsageMetadata,
    _R: openrouter.components.ChatUsage,
    _S: openai.types.CompletionUsage,
}
_OWN_PRICES = {
    f"LLM_WORKER_PROVIDERS__{name}__{kind}_USD_PER_MTOK": usd
    for name in ("SELF_HOSTED", "MOCK")
    for kind, usd in (("INPUT", "0.07"), ("OUTPUT", "0.31"))
}

D: Final = Decimal
M: Final = D("1000000")

# Tokens times USD per million: fresh, read, written for 5 minutes, written for an hour, output.
_COSTS: Final[dict[tuple[ProviderName, str], Decimal]] = {
    (_A, "plain"): (1523 * D("0.1") + 187 * D("0.5")) / M,
    (_A, "dated_version_with_nulls"): (1523 * D("1") + 187 * D("5")) / M,
    (_A, "cache_read"): (211 * D("4") + 6007 * D("0.2") + 187 * D("20")) / M,
    (_A, "cache_write_5m"): (211 * D("4") + 6007 * D("5") + 187 * D("20")) / M,
    (_A, "cache_write_1h"): (211 * D("4") + 6007 * D("8") + 187 * D("20")) / M,
    (_A, "cache_read_and_both_writes"): (
        (317 * D("2") + 4099 * D("0.1") + 1201 * D("2.5") + 2003 * D("4") + 923 * D("10")) / M
    ),
    (_A, "reasoning"): (1523 * D("0.1") + 1931 * D("0.5")) / M,
    # 100,000 tokens of prompt, what was cached included, are still short.
    (_A, "longest_short_prompt"): (
        (40_000 * D("0.1") + 50_000 * D("0.01") + 10_000 * D("0.125") + 701 * D("0.5")) / M
    ),
    (_A, "shortest_long_prompt"): (
        (40_001 * D("0.5") + 50_000 * D("0.05") + 10_000 * D("0.625") + 701 * D("2.5")) / M
    ),
    (_A, "longest_short_prompt_1h"): ((190_000 * D("3") + 10_000 * D("6") + 701 * D("15")) / M),
    (_A, "shortest_long_prompt_1h"): ((190_001 * D("6") + 10_000 * D("12") + 701 * D("22.5")) / M),
    (_O, "plain"): (1523 * D("0.1") + 187 * D("0.5")) / M,
    (_O, "dated_version_without_details"): (1523 * D("0.1") + 187 * D("0.5")) / M,
    (_O, "cache_read"): (211 * D("2") + 6007 * D("0.1") + 187 * D("10")) / M,
    (_O, "cache_write"): (211 * D("2") + 6007 * D("2.5") + 187 * D("10")) / M,
    (_O, "cache_read_and_write"): (
        (1997 * D("0.1") + 6007 * D("0.01") + 2003 * D("0.125") + 923 * D("0.5")) / M
    ),
    (_O, "cache_write_of_a_model_that_has_no_price_of_it"): ((6218 * D("2.5") + 187 * D("15")) / M),
    (_O, "reasoning"): (1523 * D("2") + 1931 * D("10")) / M,
    (_O, "tier_flex"): (
        (1997 * D("0.05") + 6007 * D("0.005") + 2003 * D("0.0625") + 923 * D("0.25")) / M
    ),
    (_O, "tier_priority"): (
        (1997 * D("0.2") + 6007 * D("0.02") + 2003 * D("0.25") + 923 * D("1")) / M
    ),
    (_O, "tier_flex_long_prompt"): (
        (72_001 * D("0.1") + 200_000 * D("0.01") + 923 * D("0.375")) / M
    ),
    (_O, "longest_short_prompt"): (
        (22_000 * D("0.1") + 200_000 * D("0.01") + 50_000 * D("0.125") + 701 * D("0.5")) / M
    ),
    (_O, "shortest_long_prompt"): (
        (22_001 * D("0.2") + 200_000 * D("0.02") + 50_000 * D("0.25") + 701 * D("0.75")) / M
    ),
    (_G, "plain"): (1523 * D("0.75") + 187 * D("3.75")) / M,
    (_G, "cache_read"): (211 * D("2") + 6007 * D("0.1") + 187 * D("10")) / M,
    # Thoughts are counted beside the answer, and cost as much.
    (_G, "reasoning"): (1523 * D("0.75") + (198 + 1733) * D("3.75")) / M,
    (_G, "thoughts_alone"): (1523 * D("0.75") + 2048 * D("3.75")) / M,
    (_G, "nothing_said"): 1523 * D("0.75") / M,
    (_G, "longest_short_prompt"): (
        (50_000 * D("2") + 150_000 * D("0.2") + (198 + 503) * D("12")) / M
    ),
    (_G, "shortest_long_prompt"): (
        (50_001 * D("4") + 150_000 * D("0.4") + (198 + 503) * D("18")) / M
    ),
    (_G, "free_model"): D("0"),
    (_R, "plain_as_charged"): D("0.0002458"),
    (_R, "tiny_as_charged"): D("0.0000106"),
    (_R, "free_as_charged"): D("0"),
    (_R, "charge_of_a_model_without_price"): D("0.0123457"),
    (_R, "own_key"): D("0.0000123") + D("0.0002458"),
    # A server of one's own has a price for input and one for output.
    (_S, "plain"): (1523 * D("0.07") + 187 * D("0.31")) / M,
    (_S, "cache_read"): (6218 * D("0.07") + 187 * D("0.31")) / M,
    (_S, "reasoning"): (1523 * D("0.07") + 1931 * D("0.31")) / M,
    (_S, "model_of_another_name"): (1523 * D("0.07") + 187 * D("0.31")) / M,
}
_UNKNOWN: Final = [
    *((_A, case) for case in ("usage_missing", "output_untold", "unknown_model")),
    # genai-prices has the batch and fast prices under other names than service tiers, and none for
    # priority, nor for inference in the US (1.1 times the list price): never the standard price.
    *((_A, case) for case in ("tier_batch", "tier_priority", "speed_fast", "inference_in_us")),
    (_A, "listed_without_price"),
    *((_O, case) for case in ("usage_missing", "usage_null", "unknown_model", "tier_scale")),
    *((_O, case) for case in ("tier_batch", "listed_without_price")),
    *((_G, case) for case in ("usage_missing", "output_untold", "unknown_model")),
    (_G, "listed_without_price"),
    *((_R, case) for case in ("usage_missing", "unknown_model", "own_key_with_half_the_bill")),
    # Its price is that of the endpoint it chose, so what it does not tell stands on no list.
    *((_R, case) for case in ("plain", "cache_read", "batch", "free_model")),
    *((_S, case) for case in ("usage_missing", "output_untold")),
]


async def _cost_of(name: ProviderName, case: str, settings: dict[str, str]) -> Decimal | None:
    answer = httpx.Response(200, json={**_VERDICTS[name], **_USAGE[name][case]})
    clock = ManualClock(NOW)
    provider = HttpProvider(
        dialect=_DIALECTS[name],
        transport=httpx.MockTransport(lambda _: answer),
        base_url="https://provider.test/v1",
        default_model="-",
        timeout_s=30,
        models=models_of(load_settings(settings), name, clock),
        clock=clock,
    )
    target = Target(provider=name, model="the-answer-tells-the-model")
    attempt = Attempt(attempt_id=uuid4(), number=1, target=target, started_at=NOW)
    return (await provider.judge(request_of(), attempt, 20)).billing.cost_usd


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "case"), _COSTS)
async def test_answer_costs_what_its_tokens_cost_by_hand(name: ProviderName, case: str) -> None:
    assert await _cost_of(name, case, _OWN_PRICES) == _COSTS[name, case]


@pytest.mark.parametrize(("name", "case"), _UNKNOWN)
async def test_cost_that_is_not_known_is_not_guessed(name: ProviderName, case: str) -> None:
    assert await _cost_of(name, case, _OWN_PRICES) is None


@pytest.mark.parametrize("case", _USAGE[_S])
async def test_own_server_costs_nothing_unless_it_has_a_price(case: str) -> None:
    assert await _cost_of(_S, case, {}) == 0


async def test_mock_costs_nothing_unless_it_has_a_price() -> None:
    never_fails = {"LLM_WORKER_PROVIDERS__MOCK__ERROR_RATE": "0"}
    attempt = Attempt(
        attempt_id=uuid4(), number=1, target=Target(provider=_M, model="m"), started_at=NOW
    )
    request = request_of(essay_a="a" * 4000, essay_b="b" * 4000)
    judged = [
        await build_provider(load_settings(never_fails | prices), _M, ManualClock(NOW)).judge(
            request, attempt, 30
        )
        for prices in ({}, _OWN_PRICES)
    ]
    prompt, answer = len(request.prompt.text) // 4, len(judged[0].verdict.justification) // 4
    assert [each.billing.cost_usd for each in judged] == [
        0,
        (prompt * D("0.07") + answer * D("0.31")) / M,
    ]


def test_every_recorded_usage_is_priced_above() -> None:
    assert {(name, case) for name, cases in _USAGE.items() for case in cases} == {
        *_COSTS,
        *_UNKNOWN,
    }


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        (name, usage)
        for name, cases in _USAGE.items()
        for case, body in cases.items()
        if case != "output_untold"  # not what an API should send
        and (usage := body.get("usageMetadata" if name is _G else "usage")) is not None
    ],
)
def test_recorded_usage_fits_the_sdk_s_types(name: ProviderName, usage: dict[str, Any]) -> None:
    _TYPES[name].model_validate(usage)
