"""What the official SDKs make of the fake providers' answers: theirs is the judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import openai
import openrouter
import orjson
import pytest

from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.dev.fake_providers import (
    EmptyAnswer,
    ErrorIn200,
    FakeProviderServer,
    MalformedJson,
    MissingUsage,
    Refusal,
    SafetyStop,
    Truncated,
    Unfinished,
    Verdict,
)
from tests.support.official_sdks import (
    ANTHROPIC,
    GOOGLE,
    OPENAI,
    OPENROUTER,
    SDKS,
    SELF_HOSTED,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llm_worker.dev.fake_providers.provider import Behaviour
    from tests.support.official_sdks import Sdk

_EACH_SDK = pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    async with FakeProviderServer() as server:
        yield server


@_EACH_SDK
async def test_sdk_reads_the_verdict_that_the_essays_deserve(
    sdk: Sdk, fake: FakeProviderServer
) -> None:
    async with sdk.asking(fake) as ask:
        read = await ask()

    assert read.verdict["winner"] == "Essay B"
    assert read.verdict["confidence"] > 0.5
    assert read.verdict["justification"]
    assert read.stop in {"end_turn", "stop", "STOP"}


@_EACH_SDK
async def test_sdk_reads_the_verdict_that_a_test_asks_for(
    sdk: Sdk, fake: FakeProviderServer
) -> None:
    fake.provider(sdk.name).next(
        Verdict(winner=Winner.A, confidence=0.25, justification="It is shorter.")
    )

    async with sdk.asking(fake) as ask:
        read = await ask()

    assert read.verdict == {
        "winner": "Essay A",
        "justification": "It is shorter.",
        "confidence": 0.25,
    }


_CHAT_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 300,
    "total_tokens": 1300,
    "prompt_tokens_details.cached_tokens": 600,
    "prompt_tokens_details.cache_write_tokens": 200,
    "completion_tokens_details.reasoning_tokens": 120,
}


@pytest.mark.parametrize(
    ("sdk", "expected"),
    [
        (
            ANTHROPIC,
            {
                "input_tokens": 200,  # the rest of the prompt is the cache's
                "cache_read_input_tokens": 600,
                "cache_creation_input_tokens": 200,
                "cache_creation.ephemeral_5m_input_tokens": 150,
                "cache_creation.ephemeral_1h_input_tokens": 50,
                "output_tokens": 300,
                "output_tokens_details.thinking_tokens": 120,
                "service_tier": "priority",
            },
        ),
        (OPENAI, _CHAT_USAGE),
        (
            GOOGLE,
            {
                "prompt_token_count": 1000,
                "cached_content_token_count": 600,
                "candidates_token_count": 180,  # without the thoughts
                "thoughts_token_count": 120,
                "total_token_count": 1300,
            },
        ),
        (OPENROUTER, _CHAT_USAGE | {"cost": 0.0125, "is_byok": False}),
        (
            SELF_HOSTED,
            {
                "prompt_tokens": 1000,
                "completion_tokens": 300,
                "total_tokens": 1300,
                "prompt_tokens_details.cached_tokens": 600,
                "completion_tokens_details": None,
            },
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_sdk_reads_the_usage_in_its_providers_own_way_of_counting(
    sdk: Sdk, expected: dict[str, object], fake: FakeProviderServer
) -> None:
    fake.provider(sdk.name).next(
        Verdict(
            prompt_tokens=1000,
            completion_tokens=300,
            cache_read_tokens=600,
            cache_write_tokens=200,
            cache_write_1h_tokens=50,
            reasoning_tokens=120,
            service_tier="priority",
            cost_usd="0.0125",
        )
    )

    async with sdk.asking(fake) as ask:
        read = await ask()

    assert {path: _at(read.usage, path) for path in expected} == expected


async def test_counts_that_are_not_scripted_follow_from_the_texts(fake: FakeProviderServer) -> None:
    async with OPENAI.asking(fake) as ask:
        reasoned = (await ask()).usage
        plain = (await ask(more={"reasoning_effort": "none"})).usage

    assert reasoned["prompt_tokens"] == plain["prompt_tokens"] > 40
    assert _at(plain, "completion_tokens_details.reasoning_tokens") == 0
    assert _at(reasoned, "completion_tokens_details.reasoning_tokens") > 0
    assert reasoned["completion_tokens"] > plain["completion_tokens"] > 20


@pytest.mark.parametrize(
    ("sdk", "model", "idle", "path"),
    [
        (
            ANTHROPIC,
            "claude-haiku-5-5",
            {"thinking": {"type": "disabled"}},
            "output_tokens_details.thinking_tokens",
        ),
        (
            OPENAI,
            "gpt-6-luna",
            {"reasoning_effort": "none"},
            "completion_tokens_details.reasoning_tokens",
        ),
        (
            GOOGLE,
            "gemini-2.5-flash",
            {"thinking_config": {"thinking_budget": 0}},
            "thoughts_token_count",
        ),
        (
            OPENROUTER,
            "anthropic/claude-haiku-5.5",
            {"reasoning": {"effort": "none"}},
            "completion_tokens_details.reasoning_tokens",
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_model_reasons_unless_it_is_told_not_to(
    sdk: Sdk, model: str, idle: dict[str, Any], path: str, fake: FakeProviderServer
) -> None:
    async with sdk.asking(fake) as ask:
        reasoned = (await ask(model=model)).usage
        plain = (await ask(model=model, more=idle)).usage

    assert _at(reasoned, path) > 0
    assert not _at(plain, path)


@pytest.mark.parametrize("sdk", SDKS[:-1], ids=lambda sdk: sdk.name)  # vLLM's header has none
async def test_each_answer_has_an_id_of_its_own(sdk: Sdk, fake: FakeProviderServer) -> None:
    async with sdk.asking(fake) as ask:
        ids = {(await ask()).request_id for _ in range(2)}

    assert len(ids - {None}) == 2


async def test_answer_longer_than_its_limit_is_cut_off_there(fake: FakeProviderServer) -> None:
    async with ANTHROPIC.asking(fake) as ask:
        read = await ask(more={"max_tokens": 70})

    assert read.stop == "max_tokens"
    assert read.usage["output_tokens"] == 70
    with pytest.raises(orjson.JSONDecodeError):
        _ = read.verdict


@pytest.mark.parametrize("sdk", [OPENAI, GOOGLE, OPENROUTER, SELF_HOSTED], ids=lambda sdk: sdk.name)
async def test_sdk_reads_that_usage_is_missing(sdk: Sdk, fake: FakeProviderServer) -> None:
    fake.provider(sdk.name).next(MissingUsage())

    async with sdk.asking(fake) as ask:
        read = await ask()

    assert read.usage == {}
    assert read.verdict["winner"] == "Essay B"


@pytest.mark.parametrize(
    ("sdk", "behaviour", "stop", "text"),
    [
        (ANTHROPIC, Truncated(), "max_tokens", None),
        (ANTHROPIC, Refusal(), "refusal", ""),
        (ANTHROPIC, SafetyStop(), "refusal", ""),
        (ANTHROPIC, Unfinished(), "pause_turn", ""),
        (ANTHROPIC, EmptyAnswer(), "end_turn", ""),
        (ANTHROPIC, MalformedJson(text="Hm."), "end_turn", "Hm."),
        (OPENAI, Truncated(), "length", None),
        (OPENAI, Refusal(), "refusal", ""),
        (OPENAI, SafetyStop(), "content_filter", ""),
        (OPENAI, Unfinished(), "tool_calls", ""),
        (OPENAI, EmptyAnswer(), "stop", ""),
        (OPENAI, MalformedJson(text="Hm."), "stop", "Hm."),
        (GOOGLE, Truncated(), "MAX_TOKENS", None),
        (GOOGLE, Refusal(), "PROHIBITED_CONTENT", ""),
        (GOOGLE, SafetyStop(), "SAFETY", ""),
        (GOOGLE, EmptyAnswer(), "STOP", ""),
        (GOOGLE, MalformedJson(text="Hm."), "STOP", "Hm."),
        (GOOGLE, ErrorIn200(in_choice=True), "OTHER", ""),
        (OPENROUTER, Truncated(), "length", None),
        (OPENROUTER, Refusal(), "refusal", ""),
        (OPENROUTER, SafetyStop(), "content_filter", ""),
        (OPENROUTER, MalformedJson(text="Hm."), "stop", "Hm."),
        (OPENROUTER, ErrorIn200(in_choice=True), "error", ""),
        (SELF_HOSTED, Truncated(), "length", None),
        (SELF_HOSTED, SafetyStop(), "content_filter", ""),
        (SELF_HOSTED, MalformedJson(text="Hm."), "stop", "Hm."),
    ],
    ids=lambda value: getattr(value, "name", getattr(value, "kind", "")),
)
async def test_sdk_reads_why_an_answer_stopped(
    sdk: Sdk, behaviour: Behaviour, stop: str, text: str | None, fake: FakeProviderServer
) -> None:
    fake.provider(sdk.name).next(behaviour)

    async with sdk.asking(fake) as ask:
        read = await ask()

    assert read.stop == stop
    if text is not None:
        assert read.text == text
    else:
        with pytest.raises(orjson.JSONDecodeError):
            _ = read.verdict


@pytest.mark.parametrize(
    ("behaviour", "category"), [(Refusal(), None), (SafetyStop(), "general_harms")]
)
async def test_anthropics_sdk_reads_what_a_refusal_is_about(
    behaviour: Behaviour, category: str | None, fake: FakeProviderServer
) -> None:
    fake.provider(ProviderName.ANTHROPIC).next(behaviour)

    message = await _message_of(fake)

    assert message.stop_details is not None
    assert message.stop_details.category == category


async def test_openais_sdk_reads_a_refusal_in_place_of_an_answer(
    fake: FakeProviderServer,
) -> None:
    fake.provider(ProviderName.OPENAI).next(Refusal())

    async with openai.AsyncOpenAI(
        api_key="k", base_url=fake.base_url(ProviderName.OPENAI), max_retries=0
    ) as client:
        completion = await client.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": "Which is better?"}]
        )

    message = completion.choices[0].message
    assert message.content is None
    assert message.refusal


async def test_claude_that_thinks_says_so_before_its_answer(fake: FakeProviderServer) -> None:
    thinking = await _message_of(fake)
    plain = await _message_of(fake, {"thinking": {"type": "disabled"}})

    assert [block.type for block in thinking.content] == ["thinking", "text"]
    assert [block.type for block in plain.content] == ["text"]


async def test_googles_sdk_continues_an_unfinished_answer(fake: FakeProviderServer) -> None:
    google = fake.provider(ProviderName.GOOGLE)
    google.next(Unfinished())

    async with GOOGLE.asking(fake) as ask:
        read = await ask()

    assert read.stop == "STOP"
    first, second = google.seen
    assert "continuationToken" not in first.body
    assert second.body["continuationToken"]


@pytest.mark.filterwarnings("ignore:warning. .. DEPRECATED:DeprecationWarning")  # by the SDK
async def test_sdks_read_what_the_lists_of_models_and_the_key_say(
    fake: FakeProviderServer,
) -> None:
    base = fake.base_url
    async with anthropic.AsyncAnthropic(
        api_key="k", base_url=base(ProviderName.ANTHROPIC)
    ) as client:
        claudes = [model.id async for model in client.models.list()]
        one_claude = await client.models.retrieve("claude-haiku-5-5")
    async with openai.AsyncOpenAI(api_key="k", base_url=base(ProviderName.OPENAI)) as client:
        gpts = [model.id async for model in client.models.list()]
    async with openai.AsyncOpenAI(api_key="k", base_url=base(ProviderName.SELF_HOSTED)) as client:
        served = [model.id async for model in client.models.list()]
    async with openrouter.OpenRouter(
        api_key="k", server_url=base(ProviderName.OPENROUTER)
    ) as router:
        routed = await router.models.list_async()
        key = await router.api_keys.get_current_key_metadata_async()

    assert "claude-opus-5-5" in claudes
    assert one_claude.max_tokens == 128_000
    assert "gpt-6-luna" in gpts
    assert len(served) == 1
    assert "openai/gpt-6-luna" in {model.id for model in routed.result.data}
    assert key.data.is_free_tier is False
    assert fake.provider(ProviderName.ANTHROPIC).lookups == 2
    assert fake.provider(ProviderName.ANTHROPIC).calls == 0


async def _message_of(
    fake: FakeProviderServer, more: dict[str, Any] | None = None
) -> anthropic.types.Message:
    async with anthropic.AsyncAnthropic(
        api_key="k", base_url=fake.base_url(ProviderName.ANTHROPIC), max_retries=0
    ) as client:
        return await client.messages.create(
            model="claude-haiku-5-5",
            max_tokens=500,
            messages=[{"role": "user", "content": "Which is better?"}],
            extra_body=more,
        )


def _at(usage: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - a number or a name
    found: Any = usage
    for name in path.split("."):
        found = found[name]
    return found
