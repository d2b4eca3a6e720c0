"""Our requests beside those of the official SDKs, which are told the same in their own terms.

The SDKs send to a transport that keeps what comes and answers with a recorded verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import httpx2
import openai
import openrouter
import orjson
import pytest
from google import genai
from google.genai import types

from llm_worker.adapters.providers import anthropic as our_anthropic
from llm_worker.adapters.providers import google as our_google
from llm_worker.adapters.providers import openai as our_openai
from llm_worker.adapters.providers import openrouter as our_openrouter
from llm_worker.adapters.providers import self_hosted as our_self_hosted
from llm_worker.contracts.request import OutputVerbosity, ReasoningEffort
from llm_worker.domain.judging import VERDICT_SCHEMA, repair_prompt
from tests.support.recorded import KEY, REPAIR, question, recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_worker.adapters.providers.dialect import Dialect, WireCall

_SYSTEM = "You are an impartial judge."
_PROMPT = "Which essay is better?"
_AGAIN = repair_prompt(REPAIR)

_ADDED_BY_HTTP = {"host", "accept-encoding", "connection", "content-length", "user-agent"}
"""What `http_provider.py` and the transport say themselves, each in its own way."""
_LEFT_OUT = {"accept", "x-goog-api-client"}
"""What the SDKs say of themselves, besides `x-stainless-...`, and we do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A request as it left."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any


class _Wire:
    """Keeps the requests that come, and answers with a verdict."""

    def __init__(self, dialect: Dialect, answer: str) -> None:
        self._body = orjson.dumps(recorded(dialect.name, answer).body)
        self._sent: list[_Sent] = []

    def take2(self, request: httpx2.Request) -> httpx2.Response:
        self._keep(request)
        return httpx2.Response(
            200, content=self._body, headers={"content-type": "application/json"}
        )

    def take(self, request: httpx.Request) -> httpx.Response:
        self._keep(request)
        return httpx.Response(200, content=self._body, headers={"content-type": "application/json"})

    def _keep(self, request: httpx2.Request | httpx.Request) -> None:
        said = {
            name: value
            for name, value in request.headers.items()
            if name not in _ADDED_BY_HTTP | _LEFT_OUT and not name.startswith("x-stainless-")
        }
        body = orjson.loads(request.content) if request.content else None
        self._sent.append(
            _Sent(method=request.method, url=str(request.url), headers=said, body=body)
        )

    @property
    def sent(self) -> _Sent:
        (only,) = self._sent
        return only


def _ours(base_url: str, call: WireCall) -> _Sent:
    """What goes out for `call`: `http_provider.py` chooses the method and names the content."""
    content = {} if call.body is None else {"content-type": "application/json"}
    return _Sent(
        method="GET" if call.body is None else "POST",
        url=base_url + call.path,
        headers={**call.headers, **content},
        body=None if call.body is None else orjson.loads(orjson.dumps(call.body)),
    )


@pytest.fixture
def claude() -> Iterator[tuple[anthropic.Anthropic, _Wire]]:
    wire = _Wire(our_anthropic.AnthropicDialect(api_key=KEY), "verdict")
    transport = httpx2.MockTransport(wire.take2)
    with anthropic.Anthropic(api_key=KEY, http_client=httpx2.Client(transport=transport)) as sdk:
        yield sdk, wire


@pytest.mark.parametrize(
    ("model", "wanted", "effort", "told"),
    [
        ("claude-haiku-5-5", {}, {}, {}),
        ("claude-haiku-5-5", {"temperature": 0.0}, {}, {}),
        (
            "claude-haiku-5-5",
            {"effort": ReasoningEffort.NONE},
            {},
            {"thinking": {"type": "disabled"}},
        ),
        (
            "claude-sonnet-5-5",
            {"effort": ReasoningEffort.NONE},
            {},
            {"thinking": {"type": "between_tools"}},
        ),
        ("claude-opus-5-5", {"effort": ReasoningEffort.LOW}, {"effort": "low"}, {}),
        (
            "claude-opus-4-8",
            {"effort": ReasoningEffort.HIGH},
            {"effort": "high"},
            {"thinking": {"type": "adaptive"}},
        ),
        ("claude-haiku-5-5", {"repair": REPAIR}, {}, {}),
    ],
)
def test_a_message_is_the_one_that_anthropic_s_sdk_sends(
    claude: tuple[anthropic.Anthropic, _Wire],
    model: str,
    wanted: dict[str, Any],
    effort: dict[str, Any],
    told: dict[str, Any],
) -> None:
    sdk, wire = claude
    output_config: Any = {"format": {"type": "json_schema", "schema": VERDICT_SCHEMA}}
    messages: list[Any] = [{"role": "user", "content": _PROMPT}]
    if "repair" in wanted:
        messages.append({"role": "assistant", "content": REPAIR.answer})
        messages.append({"role": "user", "content": _AGAIN})

    sdk.messages.create(
        model=model,
        max_tokens=900,
        system=_SYSTEM,
        messages=messages,
        output_config=output_config | effort,
        **told,
    )

    call = our_anthropic.AnthropicDialect(api_key=KEY).judge_call(
        question(model, max_tokens=900, **wanted)
    )
    assert _ours(our_anthropic.DEFAULT_BASE_URL, call) == wire.sent


def test_a_forced_tool_is_the_one_that_anthropic_s_sdk_sends(
    claude: tuple[anthropic.Anthropic, _Wire],
) -> None:
    sdk, wire = claude
    model = "claude-opus-4-1-20250805"

    sdk.messages.create(
        model=model,
        max_tokens=900,
        system=_SYSTEM,
        messages=[{"role": "user", "content": _PROMPT}],
        tools=[
            {
                "name": "verdict",
                "description": "Gives the verdict.",
                "input_schema": VERDICT_SCHEMA,
            }
        ],
        tool_choice={"type": "tool", "name": "verdict", "disable_parallel_tool_use": True},
    )

    call = our_anthropic.AnthropicDialect(api_key=KEY).judge_call(question(model, max_tokens=900))
    assert _ours(our_anthropic.DEFAULT_BASE_URL, call) == wire.sent


def test_a_probe_is_the_list_that_anthropic_s_sdk_asks_for() -> None:
    dialect = our_anthropic.AnthropicDialect(api_key=KEY)
    wire = _Wire(dialect, "error_too_large")
    transport = httpx2.MockTransport(wire.take2)
    with anthropic.Anthropic(api_key=KEY, http_client=httpx2.Client(transport=transport)) as sdk:
        sdk.models.list(limit=1)

    assert _ours(our_anthropic.DEFAULT_BASE_URL, dialect.probe_call()) == wire.sent


def _messages(system_role: str, wanted: dict[str, Any]) -> list[Any]:
    messages: list[Any] = [
        {"role": system_role, "content": _SYSTEM},
        {"role": "user", "content": _PROMPT},
    ]
    if "repair" in wanted:
        messages.append({"role": "assistant", "content": REPAIR.answer})
        messages.append({"role": "user", "content": _AGAIN})
    return messages


_RESPONSE_FORMAT: Any = {
    "type": "json_schema",
    "json_schema": {"name": "verdict", "strict": True, "schema": VERDICT_SCHEMA},
}


@pytest.mark.parametrize(
    ("model", "wanted", "told"),
    [
        ("gpt-6-luna", {}, {}),
        ("gpt-6-luna", {"effort": ReasoningEffort.NONE}, {"reasoning_effort": "none"}),
        ("gpt-6-luna", {"effort": ReasoningEffort.HIGH}, {"reasoning_effort": "high"}),
        ("gpt-6-luna", {"temperature": 0.3}, {}),
        (
            "gpt-6-luna",
            {"temperature": 0.3, "effort": ReasoningEffort.NONE},
            {"temperature": 0.3, "reasoning_effort": "none"},
        ),
        ("gpt-4.1", {"temperature": 0.3}, {"temperature": 0.3}),
        ("gpt-6-luna", {"verbosity": OutputVerbosity.LOW}, {"verbosity": "low"}),
        ("gpt-6-luna", {"repair": REPAIR}, {}),
    ],
)
def test_a_completion_is_the_one_that_openai_s_sdk_sends(
    model: str, wanted: dict[str, Any], told: dict[str, Any]
) -> None:
    dialect = our_openai.OpenAIDialect(api_key=KEY)
    wire = _Wire(dialect, "verdict")
    transport = httpx2.MockTransport(wire.take2)
    if model != "gpt-4.1":
        told = told | {"prompt_cache_options": {"mode": "explicit"}}
    with openai.OpenAI(api_key=KEY, http_client=httpx2.Client(transport=transport)) as sdk:
        sdk.chat.completions.create(
            model=model,
            messages=_messages("developer", wanted),
            max_completion_tokens=900,
            response_format=_RESPONSE_FORMAT,
            store=False,
            service_tier="auto",
            **told,
        )

    call = dialect.judge_call(question(model, max_tokens=900, **wanted))
    assert _ours(our_openai.DEFAULT_BASE_URL, call) == wire.sent


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({}, {}),
        ({"effort": ReasoningEffort.NONE}, {"reasoning_effort": "none"}),
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"repair": REPAIR}, {}),
    ],
)
def test_a_server_of_one_s_own_is_asked_as_openai_s_sdk_asks_it(
    wanted: dict[str, Any], told: dict[str, Any]
) -> None:
    base_url = "http://127.0.0.1:8000/v1"
    dialect = our_self_hosted.SelfHostedDialect(api_key=KEY)
    wire = _Wire(dialect, "verdict_vllm")
    client = httpx2.Client(transport=httpx2.MockTransport(wire.take2))
    with openai.OpenAI(api_key=KEY, base_url=base_url, http_client=client) as sdk:
        sdk.chat.completions.create(
            model="qwen3-8b",
            messages=_messages("system", wanted),
            max_tokens=900,
            response_format=_RESPONSE_FORMAT,
            **told,
        )

    call = dialect.judge_call(question("qwen3-8b", max_tokens=900, **wanted))
    assert _ours(base_url, call) == wire.sent


def test_a_probe_is_the_list_that_openai_s_sdk_asks_for() -> None:
    dialect = our_openai.OpenAIDialect(api_key=KEY)
    wire = _Wire(dialect, "error_bad_gateway")
    transport = httpx2.MockTransport(wire.take2)
    with openai.OpenAI(api_key=KEY, http_client=httpx2.Client(transport=transport)) as sdk:
        sdk.models.list()

    assert _ours(our_openai.DEFAULT_BASE_URL, dialect.probe_call()) == wire.sent


def _through_openrouter(ask: Callable[[openrouter.OpenRouter], object], answer: str) -> _Sent:
    wire = _Wire(our_openrouter.OpenRouterDialect(api_key=KEY), answer)
    client = httpx.Client(transport=httpx.MockTransport(wire.take))
    sdk = openrouter.OpenRouter(
        api_key=KEY,
        client=client,
        http_referer="https://school.example",
        x_open_router_title="Essays",
    )
    with sdk:
        ask(sdk)
    return wire.sent


_NAMED = our_openrouter.OpenRouterDialect(
    api_key=KEY, http_referer="https://school.example", title="Essays"
)


@pytest.mark.parametrize(
    ("model", "wanted", "told"),
    [
        ("anthropic/claude-haiku-5.5", {}, {}),
        (
            "anthropic/claude-haiku-5.5",
            {"effort": ReasoningEffort.NONE},
            {"reasoning": {"effort": "none"}},
        ),
        (
            "anthropic/claude-haiku-5.5",
            {"effort": ReasoningEffort.LOW},
            {"reasoning": {"effort": "low"}},
        ),
        ("anthropic/claude-haiku-5.5", {"temperature": 0.3}, {}),
        ("mistralai/mistral-large-3", {"temperature": 0.3}, {"temperature": 0.3}),
        ("anthropic/claude-haiku-5.5", {"repair": REPAIR}, {}),
    ],
)
def test_a_completion_is_the_one_that_openrouter_s_sdk_sends(
    model: str, wanted: dict[str, Any], told: dict[str, Any]
) -> None:
    sent = _through_openrouter(
        lambda sdk: sdk.chat.send(
            model=model,
            messages=_messages("system", wanted),
            max_tokens=900,
            response_format=_RESPONSE_FORMAT,
            provider={"require_parameters": True},
            **told,
        ),
        "verdict",
    )

    # The SDK says what not saying it means, too.
    assert sent.body.pop("stream") is False
    call = _NAMED.judge_call(question(model, max_tokens=900, **wanted))
    assert _ours(our_openrouter.DEFAULT_BASE_URL, call) == sent


def _through_google(ask: Callable[[genai.Client], object], answer: str) -> _Sent:
    wire = _Wire(our_google.GoogleDialect(api_key=KEY), answer)
    client = httpx2.Client(transport=httpx2.MockTransport(wire.take2))
    with genai.Client(api_key=KEY, http_options=types.HttpOptions(httpx_client=client)) as sdk:
        ask(sdk)
    return wire.sent


@pytest.mark.parametrize(
    ("model", "wanted", "told"),
    [
        ("gemini-3.8-flash", {}, {}),
        ("gemini-3.8-flash", {"temperature": 0.3}, {}),
        ("gemini-2.5-flash", {"temperature": 0.3}, {"temperature": 0.3}),
        (
            "gemini-3.8-flash",
            {"effort": ReasoningEffort.HIGH},
            {"thinking_config": types.ThinkingConfig(thinking_level=types.ThinkingLevel.HIGH)},
        ),
        (
            "gemini-2.5-flash",
            {"effort": ReasoningEffort.NONE},
            {"thinking_config": types.ThinkingConfig(thinking_budget=0)},
        ),
        ("gemini-3.8-flash", {"repair": REPAIR}, {}),
    ],
)
def test_content_is_asked_for_as_google_s_sdk_asks_for_it(
    model: str, wanted: dict[str, Any], told: dict[str, Any]
) -> None:
    def content(role: str, text: str) -> types.Content:
        return types.Content(role=role, parts=[types.Part(text=text)])

    contents = [content("user", _PROMPT)]
    if "repair" in wanted:
        contents += [content("model", REPAIR.answer), content("user", _AGAIN)]

    sent = _through_google(
        lambda sdk: sdk.models.generate_content(
            model=model,
            contents=contents,
            config=types.GenerateContentConfig(
                system_instruction=_SYSTEM,
                response_mime_type="application/json",
                response_json_schema=VERDICT_SCHEMA,
                max_output_tokens=900,
                **told,
            ),
        ),
        "verdict",
    )

    # The SDK gives the instructions a role, which the API does not ask for.
    assert sent.body["systemInstruction"].pop("role") == "user"
    # Of this one object the SDK sends the names of Python; proto3's JSON takes both spellings.
    config = sent.body["generationConfig"]
    if "thinkingConfig" in config:
        config["thinkingConfig"] = {
            {"thinking_level": "thinkingLevel", "thinking_budget": "thinkingBudget"}[name]: value
            for name, value in config["thinkingConfig"].items()
        }
    call = our_google.GoogleDialect(api_key=KEY).judge_call(
        question(model, max_tokens=900, **wanted)
    )
    assert _ours(our_google.DEFAULT_BASE_URL, call) == sent


def test_a_probe_is_the_list_that_google_s_sdk_asks_for() -> None:
    sent = _through_google(
        lambda sdk: sdk.models.list(config={"page_size": 1}), "error_behind_proxy"
    )

    # The SDK names a content type though there is no content.
    assert sent.headers.pop("content-type") == "application/json"
    call = our_google.GoogleDialect(api_key=KEY).probe_call()
    assert _ours(our_google.DEFAULT_BASE_URL, call) == sent
