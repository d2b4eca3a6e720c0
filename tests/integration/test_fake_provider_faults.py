"""The fake providers break connections, count what they see, and are steered from outside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.dev.fake_providers import (
    CloseWithoutAnswer,
    CutBody,
    FakeProviderServer,
    Hang,
    MalformedJson,
    NotJson,
    Overloaded,
    RateLimited,
    Redirect,
    Reset,
    Slow,
)
from llm_worker.dev.fake_providers.process import FakeProviders
from tests.support.official_sdks import ANTHROPIC, OPENAI, SDKS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from llm_worker.dev.fake_providers import FakeProvider
    from tests.support.official_sdks import Sdk

_BODY: dict[str, Any] = {
    "model": "gpt-6-luna",
    "messages": [{"role": "user", "content": "Which is better?"}],
}


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    async with FakeProviderServer() as server:
        yield server


@pytest.fixture
async def client(fake: FakeProviderServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=fake.base_url(ProviderName.OPENAI), headers={"Authorization": "Bearer k"}
    ) as client:
        yield client


@pytest.fixture
def provider(fake: FakeProviderServer) -> FakeProvider:
    return fake.provider(ProviderName.OPENAI)


async def test_reset_comes_after_the_request_was_read(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.next(Reset())

    with pytest.raises(httpx.ReadError) as raised:
        await client.post("/chat/completions", json=_BODY)

    assert _causes(raised.value) & {ConnectionResetError}
    assert provider.seen[-1].body == _BODY


async def test_close_comes_without_an_answer(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.next(CloseWithoutAnswer())

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await client.post("/chat/completions", json=_BODY)

    assert provider.seen[-1].body == _BODY


async def test_cut_body_is_shorter_than_announced(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.next(CutBody())

    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        await client.post("/chat/completions", json=_BODY)


@pytest.mark.parametrize("status", [200, 502])
async def test_page_of_a_proxy_is_no_json(
    status: int, provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.next(NotJson(status=status))

    answer = await client.post("/chat/completions", json=_BODY)

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


async def test_redirect_names_another_address(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.next(Redirect(location="/elsewhere"))

    answer = await client.post("/chat/completions", json=_BODY)

    assert (answer.status_code, answer.headers["location"]) == (302, "/elsewhere")


async def test_hanging_call_is_in_flight_until_its_caller_goes(
    fake: FakeProviderServer, provider: FakeProvider
) -> None:
    provider.next(Hang())

    async with OPENAI.asking(fake) as ask, asyncio.TaskGroup() as callers:
        caller = callers.create_task(ask())
        await provider.until_in_flight(1)
        caller.cancel()
        await provider.until_in_flight(0)

    assert (provider.calls, provider.statuses) == (1, {})


async def test_stopped_server_lets_go_of_hanging_calls() -> None:
    async with FakeProviderServer() as server, OPENAI.asking(server) as ask:
        server.provider(ProviderName.OPENAI).always(Hang())
        caller = asyncio.ensure_future(ask())
        await server.provider(ProviderName.OPENAI).until_in_flight(1)
        await server.__aexit__(None, None, None)

        with pytest.raises(openai.APIConnectionError):
            await caller


async def test_most_calls_in_flight_at_once_are_counted(
    fake: FakeProviderServer, provider: FakeProvider
) -> None:
    provider.always(Hang())

    async with OPENAI.asking(fake) as ask:
        callers = [asyncio.ensure_future(ask()) for _ in range(3)]
        await provider.until_in_flight(3)
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)
        await provider.until_in_flight(0)

    assert (provider.calls, provider.max_in_flight) == (3, 3)


async def test_reset_forgets_the_script_and_what_was_seen(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.next(RateLimited(), Overloaded())
    provider.always(Hang())
    await client.post("/chat/completions", json=_BODY)

    provider.reset()
    answer = await client.post("/chat/completions", json=_BODY)

    assert answer.status_code == 200
    assert (provider.calls, provider.max_in_flight) == (1, 1)
    assert (len(provider.seen), provider.statuses) == (1, {200: 1})


async def test_slow_call_waits_and_is_answered_well(
    fake: FakeProviderServer, provider: FakeProvider
) -> None:
    provider.next(Slow(latency_s=0.01))
    provider.latency_s = 0.01
    loop = asyncio.get_running_loop()

    async with OPENAI.asking(fake) as ask:
        before_s = loop.time()
        read = await ask()

    assert loop.time() - before_s >= 0.02
    assert read.verdict["winner"] == "Essay B"


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
async def test_seen_calls_have_the_body_and_no_key(sdk: Sdk, fake: FakeProviderServer) -> None:
    async with sdk.asking(fake, key="very-secret") as ask:
        await ask()

    (seen,) = fake.provider(sdk.name).seen
    assert seen.method == "POST"
    assert "Essay A" in str(seen.body)
    assert seen.headers["content-type"] == "application/json"
    assert "very-secret" not in repr(seen)


async def test_script_goes_call_by_call_and_then_back_to_what_stands(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.always(Overloaded())
    provider.next(RateLimited(), MalformedJson())

    statuses = [(await client.post("/chat/completions", json=_BODY)).status_code for _ in range(4)]

    assert statuses == [429, 200, 503, 503]
    assert provider.statuses == {429: 1, 200: 1, 503: 2}


async def test_lookups_share_the_failure_that_stands_and_take_nothing_from_the_script(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.next(RateLimited())
    healthy = await client.get("/models")
    provider.always(Overloaded())
    failing = await client.get("/models")

    assert (healthy.status_code, failing.status_code) == (200, 503)
    assert (provider.lookups, provider.calls, len(provider.queued)) == (2, 0, 1)


async def test_one_providers_script_is_no_other_ones(fake: FakeProviderServer) -> None:
    fake.provider(ProviderName.OPENAI).always(Overloaded())

    async with ANTHROPIC.asking(fake) as ask:
        assert (await ask()).verdict["winner"] == "Essay B"


async def test_curl_can_break_a_provider_and_heal_it(
    fake: FakeProviderServer, client: httpx.AsyncClient
) -> None:
    control = f"{fake.url}/_control/openai"

    change = {
        "always": {"kind": "overloaded"},
        "next": [{"kind": "rate_limited", "retry_after_s": 20}],
        "latency_ms": 1,
        "limits": {"requests": 10, "requests_remaining": 3},
    }
    told = (await client.post(control, json=change)).json()
    limited = await client.post("/chat/completions", json=_BODY)
    overloaded = await client.post("/chat/completions", json=_BODY)
    counts = (await client.get(control)).json()
    healed = (await client.post(control, json={"reset": True})).json()
    answer = await client.post("/chat/completions", json=_BODY)

    assert (told["queued"], told["always"]) == (["rate_limited"], {"kind": "overloaded"})
    assert told["latency_ms"] == 1
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "20")
    assert overloaded.status_code == 503
    assert overloaded.headers["x-ratelimit-remaining-requests"] == "3"
    assert (counts["calls"], counts["statuses"]) == (2, {"429": 1, "503": 1})
    assert (healed["calls"], healed["always"]) == (0, {"kind": "verdict"})
    assert answer.status_code == 200


async def test_control_of_all_reaches_each_provider(
    fake: FakeProviderServer, client: httpx.AsyncClient
) -> None:
    change = {"always": {"kind": "hang"}}

    states = (await client.post(f"{fake.url}/_control", json=change)).json()

    assert {name: state["always"]["kind"] for name, state in states.items()} == dict.fromkeys(
        ["anthropic", "openai", "google", "openrouter", "self_hosted"], "hang"
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "named"),
    [
        ("/_control/openai", '{"always": {"kind": "tired"}}', 400, "rate_limited"),
        ("/_control/openai", '{"alway": {"kind": "hang"}}', 400, "alway"),
        ("/_control/openai", "{", 400, "JSON"),
        ("/_control/aol", "{}", 404, "anthropic"),
    ],
)
async def test_wrong_control_is_refused_with_what_would_be_right(
    path: str, body: str, status: int, named: str, fake: FakeProviderServer
) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(fake.url + path, content=body)

    assert answer.status_code == status
    assert named in answer.json()["error"]


async def test_unknown_address_belongs_to_nobody(fake: FakeProviderServer) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{fake.url}/aol/v1/models")).status_code == 404


async def test_request_of_several_megabytes_is_read(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    large = _BODY | {"messages": [{"role": "user", "content": "word " * 800_000}]}

    answer = await client.post("/chat/completions", json=large, timeout=60)

    assert answer.json()["usage"]["prompt_tokens"] == 1_000_000
    assert provider.statuses == {200: 1}


def test_child_process_answers_at_the_addresses_that_its_environment_names(
    tmp_path: Path,
) -> None:
    with FakeProviders(tmp_path) as fake:
        environment = fake.environment
        state = httpx.get(f"{fake.url}/_control").json()
        models = httpx.get(
            environment["LLM_WORKER_PROVIDERS__OPENAI__BASE_URL"] + "/models",
            headers={
                "Authorization": "Bearer " + environment["LLM_WORKER_PROVIDERS__OPENAI__API_KEY"]
            },
        )
        served = httpx.get(
            environment["LLM_WORKER_PROVIDERS__SELF_HOSTED__BASE_URL"] + "/models"
        ).json()

    assert len(state) == 5
    assert models.status_code == 200
    default_model = environment["LLM_WORKER_PROVIDERS__SELF_HOSTED__DEFAULT_MODEL"]
    assert [model["id"] for model in served["data"]] == [default_model]
    assert (
        environment["ANTHROPIC_API_KEY"]
        == (environment["LLM_WORKER_PROVIDERS__ANTHROPIC__API_KEY"])
    )
    with pytest.raises(httpx.ConnectError):
        httpx.get(fake.url)


def _causes(error: BaseException | None) -> set[type[BaseException]]:
    found = set()
    while error is not None:
        found.add(type(error))
        error = error.__cause__ or error.__context__
    return found
