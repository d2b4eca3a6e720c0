"""Servers of one's own that speak Chat Completions: vLLM, llama.cpp, Ollama and their kin."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.providers import chat_completions
from llm_worker.adapters.providers.dialect import WireCall
from llm_worker.adapters.providers.fields import code_at, object_at, text_at
from llm_worker.adapters.providers.statuses import ErrorAnswer, tells_of_length
from llm_worker.adapters.providers.waits import retry_after_s
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import PromptTooLongError, QuotaExhaustedError

if TYPE_CHECKING:
    from datetime import datetime

    from llm_worker.adapters.providers.dialect import Headers, JsonObject, Reply
    from llm_worker.domain.errors import ProviderError
    from llm_worker.domain.judging import Question
    from llm_worker.domain.verdict import ReportedLimit

DEFAULT_BASE_URL: Final = None
DEFAULT_MODEL: Final = None
UNPRICED_MODELS: Final[tuple[str, ...]] = ()
UNUSABLE_MODELS: Final[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfHostedDialect:
    """What such a server's API is; most want no key."""

    api_key: str | None = field(default=None, repr=False)
    name = ProviderName.SELF_HOSTED

    def judge_call(self, question: Question) -> WireCall:
        """Ask for a verdict, with every override: what the model takes only its owner knows."""
        body: dict[str, Any] = {
            "model": question.model,
            "messages": chat_completions.messages_of(question, system_role="system"),
            # The older name of max_completion_tokens: all three servers know this one.
            "max_tokens": question.max_tokens,
            "response_format": chat_completions.RESPONSE_FORMAT,
        }
        if question.effort is not None:
            body["reasoning_effort"] = question.effort.value
        if question.temperature is not None:
            body["temperature"] = question.temperature
        return WireCall(
            path=chat_completions.PATH,
            headers=chat_completions.key_header(self.api_key),
            body=body,
        )

    def probe_call(self) -> WireCall:
        """List the models."""
        return WireCall(path="/models", headers=chat_completions.key_header(self.api_key))

    def read_reply(self, body: JsonObject, headers: Headers) -> Reply:
        """Read a completion."""
        request_id = headers.get("x-request-id") or text_at(body, "id")
        return chat_completions.read_completion(body, request_id=request_id)

    def read_error(
        self, status: int, body: JsonObject, headers: Headers, now: datetime
    ) -> ProviderError:
        """Read an error: in `error`, or, of an older vLLM, in the body itself."""
        error = object_at(body, "error") or body
        code = code_at(error, "code") or code_at(error, "type")
        return ErrorAnswer(
            provider=self.name,
            status=status,
            kind=_kind_of(status, code, text_at(error, "message")),
            code=code,
            retry_after_s=retry_after_s(headers, now),
            request_id=headers.get("x-request-id"),
        ).as_error()

    def read_limits(self, headers: Headers, now: datetime) -> tuple[ReportedLimit, ...]:  # noqa: ARG002 - durations need no now
        """Read `x-ratelimit-*`, which gateways before such a server copy from OpenAI."""
        return chat_completions.read_limits(headers)


def _kind_of(status: int, code: str | None, message: str | None) -> type[ProviderError] | None:
    if code == "insufficient_quota":
        return QuotaExhaustedError  # of a gateway before the server, in OpenAI's words
    is_client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return PromptTooLongError if is_client_error and tells_of_length(message) else None
