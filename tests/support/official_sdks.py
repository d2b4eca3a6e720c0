"""The providers' official SDKs, each put to the same use: ask once for a verdict, and read it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import anthropic
import openai
import openrouter
import orjson
from google import genai

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.judging import VERDICT_NAME, VERDICT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from llm_worker.dev.fake_providers import FakeProviderServer

PROMPT = (
    "Essay A\nThe cat sat on the mat and the cat sat on the mat and the cat sat.\n\n"
    "Essay B\nStubborn curiosity, patiently rewarded, distinguishes scholarship from recitation."
)
SYSTEM = "You are a strict judge."
_MAX_TOKENS = 2000
# Any: as the wire has them, of which the SDKs' types are narrower.
_RESPONSE_FORMAT: Any = {
    "type": "json_schema",
    "json_schema": {"name": VERDICT_NAME, "strict": True, "schema": VERDICT_SCHEMA},
}
_MESSAGES: Any = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": PROMPT},
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What an SDK made of an answer; `usage` by the SDK's own names, empty if there is none."""

    text: str
    stop: str | None
    request_id: str | None
    usage: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> dict[str, Any]:
        verdict: dict[str, Any] = orjson.loads(self.text)
        return verdict


class Ask(Protocol):
    """Ask the SDK's model, or another; `more` are fields beside the usual ones."""

    async def __call__(self, *, model: str = ..., more: dict[str, Any] | None = None) -> Read: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdk:
    """One SDK, with its retries off; it follows no environment variable."""

    name: ProviderName
    opened: Callable[[str, str], AbstractAsyncContextManager[Ask]]

    def asking(
        self, fake: FakeProviderServer, *, key: str = "test-key"
    ) -> AbstractAsyncContextManager[Ask]:
        return self.opened(fake.base_url(self.name), key)


@asynccontextmanager
async def _anthropic(base_url: str, key: str) -> AsyncIterator[Ask]:
    async with anthropic.AsyncAnthropic(api_key=key, base_url=base_url, max_retries=0) as client:

        async def ask(
            *, model: str = "claude-haiku-5-5", more: dict[str, Any] | None = None
        ) -> Read:
            message = await client.messages.create(
                model=model,
                max_tokens=_MAX_TOKENS,
                system=SYSTEM,
                messages=[{"role": "user", "content": PROMPT}],
                output_config={"format": {"type": "json_schema", "schema": VERDICT_SCHEMA}},
                extra_body=more,
            )
            return Read(
                text="".join(block.text for block in message.content if block.type == "text"),
                stop=message.stop_reason,
                request_id=message._request_id,
                usage=_counts(message.usage),
            )

        yield ask


def _openai_for(usual_model: str) -> Callable[[str, str], AbstractAsyncContextManager[Ask]]:
    @asynccontextmanager
    async def opened(base_url: str, key: str) -> AsyncIterator[Ask]:
        async with openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0) as client:

            async def ask(*, model: str = usual_model, more: dict[str, Any] | None = None) -> Read:
                completion = await client.chat.completions.create(
                    model=model,
                    messages=_MESSAGES,
                    max_completion_tokens=_MAX_TOKENS,
                    response_format=_RESPONSE_FORMAT,
                    extra_body=more,
                )
                choice = completion.choices[0]
                return Read(
                    text=choice.message.content or "",
                    stop="refusal" if choice.message.refusal else choice.finish_reason,
                    request_id=completion._request_id,
                    usage=_counts(completion.usage),
                )

            yield ask

    return opened


@asynccontextmanager
async def _openrouter(base_url: str, key: str) -> AsyncIterator[Ask]:
    async with openrouter.OpenRouter(api_key=key, server_url=base_url, retry_config=None) as client:

        async def ask(
            *, model: str = "anthropic/claude-haiku-5.5", more: dict[str, Any] | None = None
        ) -> Read:
            completion = await client.chat.send_async(
                model=model,
                messages=_MESSAGES,
                max_completion_tokens=_MAX_TOKENS,
                response_format=_RESPONSE_FORMAT,
                **(more or {}),
            )
            choice = completion.choices[0]
            content = choice.message.content
            return Read(
                text=content if isinstance(content, str) else "",
                stop="refusal" if choice.message.refusal else choice.finish_reason,
                request_id=completion.id,
                usage=_counts(completion.usage),
            )

        yield ask


@asynccontextmanager
async def _google(base_url: str, key: str) -> AsyncIterator[Ask]:
    # In a thread, since its asynchronous client warns of its own use of aiohttp.
    with genai.Client(api_key=key, http_options={"base_url": base_url}) as client:

        async def ask(
            *, model: str = "gemini-3.8-flash", more: dict[str, Any] | None = None
        ) -> Read:
            config: dict[str, Any] = {
                "system_instruction": SYSTEM,
                "response_mime_type": "application/json",
                "response_json_schema": VERDICT_SCHEMA,
                "max_output_tokens": _MAX_TOKENS,
                **(more or {}),
            }
            response = await asyncio.to_thread(
                client.models.generate_content,
                model=model,
                contents=PROMPT,
                config=genai.types.GenerateContentConfig(**config),
            )
            feedback = response.prompt_feedback
            finished = response.candidates[0].finish_reason if response.candidates else None
            return Read(
                text=response.text or "",
                stop=finished or (feedback.block_reason if feedback else None),
                request_id=response.response_id,
                usage=_counts(response.usage_metadata),
            )

        yield ask


def _counts(usage: Any) -> dict[str, Any]:  # noqa: ANN401 - each SDK has its own class
    return usage.model_dump() if usage is not None else {}


ANTHROPIC = Sdk(name=ProviderName.ANTHROPIC, opened=_anthropic)
OPENAI = Sdk(name=ProviderName.OPENAI, opened=_openai_for("gpt-6-luna"))
GOOGLE = Sdk(name=ProviderName.GOOGLE, opened=_google)
OPENROUTER = Sdk(name=ProviderName.OPENROUTER, opened=_openrouter)
SELF_HOSTED = Sdk(name=ProviderName.SELF_HOSTED, opened=_openai_for("llama-3.3"))
SDKS = (ANTHROPIC, OPENAI, GOOGLE, OPENROUTER, SELF_HOSTED)
