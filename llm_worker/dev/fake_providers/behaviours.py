"""What a fake provider can do with a call: answer, fail, or break the connection.

Each is a value, and the same in JSON for the control address: `RateLimited(retry_after_s=20)` is
`{"kind": "rate_limited", "retry_after_s": 20}`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_worker.contracts.vocabulary import Winner

_Count = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(ge=0)]


class _Behaviour(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Reply(_Behaviour):
    """A 200 answer. Numbers left out are made up from the texts' lengths.

    `prompt_tokens` includes the cache's, `cache_write_tokens` those kept for an hour, and
    `completion_tokens` the reasoning, whatever the provider's own way of counting. What a provider
    does not report (Gemini: cache writes) is left out there.
    """

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    cache_read_tokens: _Count = 0
    cache_write_tokens: _Count = 0
    cache_write_1h_tokens: _Count = 0
    reasoning_tokens: _Count | None = None
    service_tier: str | None = None
    cost_usd: Decimal | None = None
    """What OpenRouter says it charged; the others do not say."""


class _Judged(_Reply):
    """A reply with a verdict in it; what is left out comes from the essays themselves."""

    winner: Winner | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    justification: str | None = None


class Verdict(_Judged):
    """A good answer."""

    kind: Literal["verdict"] = "verdict"


class Slow(_Judged):
    """A good answer that takes longer by `latency_s`."""

    kind: Literal["slow"] = "slow"
    latency_s: _Seconds


class MissingUsage(_Judged):
    """A good answer that does not say what it used."""

    kind: Literal["missing_usage"] = "missing_usage"


class Truncated(_Judged):
    """A verdict cut off in the middle by the token limit."""

    kind: Literal["truncated"] = "truncated"


class MalformedJson(_Reply):
    """A complete answer whose text is no verdict."""

    kind: Literal["malformed_json"] = "malformed_json"
    text: str = "Both essays have their merits, but the first one is better."


class EmptyAnswer(_Reply):
    """A complete answer without text."""

    kind: Literal["empty_answer"] = "empty_answer"


class Refusal(_Reply):
    """The model declines. Gemini has no such answer: there the prompt is blocked."""

    kind: Literal["refusal"] = "refusal"


class SafetyStop(_Reply):
    """A filter stops the answer. Anthropic reports that as a refusal with a category."""

    kind: Literal["safety_stop"] = "safety_stop"


class Unfinished(_Reply):
    """The model paused and would go on; OpenAI's chat API has no such answer: a tool call there."""

    kind: Literal["unfinished"] = "unfinished"


class RateLimited(_Behaviour):
    """Too many requests. `retry_after_s` None: it does not say when to come back.

    `form`: `native` is how the provider says it (Gemini: in the body, the others in a header in
    whole seconds), `date` an HTTP date in the header, `message` in the error's text alone.
    """

    kind: Literal["rate_limited"] = "rate_limited"
    retry_after_s: _Seconds | None = 1.0
    form: Literal["native", "date", "message"] = "native"


class QuotaExhausted(_Behaviour):
    """The credit, the spend limit or the day's quota is used up."""

    kind: Literal["quota_exhausted"] = "quota_exhausted"


class Overloaded(_Behaviour):
    """The provider has no capacity; `retry_after_s` goes into the header where given."""

    kind: Literal["overloaded"] = "overloaded"
    retry_after_s: _Seconds | None = None


class ServerError(_Behaviour):
    """A defect of the provider's, status 500."""

    kind: Literal["server_error"] = "server_error"


class Timeout504(_Behaviour):
    """The provider itself ran out of time, status 504; OpenRouter's edge says 524."""

    kind: Literal["timeout_504"] = "timeout_504"


class BadRequest(_Behaviour):
    """A parameter that the model does not take."""

    kind: Literal["bad_request"] = "bad_request"


class ContextTooLong(_Behaviour):
    """The prompt is longer than the model reads."""

    kind: Literal["context_too_long"] = "context_too_long"


class AuthFailed(_Behaviour):
    """The key is wrong."""

    kind: Literal["auth_failed"] = "auth_failed"


class PermissionDenied(_Behaviour):
    """The key may not do this."""

    kind: Literal["permission_denied"] = "permission_denied"


class ErrorIn200(_Behaviour):
    """An error's body under status 200, as OpenRouter sends it once generation has begun.

    `in_choice`: only the choice says so, by its finish reason (the OpenAI-like APIs).
    """

    kind: Literal["error_in_200"] = "error_in_200"
    in_choice: bool = False


class NotJson(_Behaviour):
    """An HTML page, as proxies send it."""

    kind: Literal["not_json"] = "not_json"
    status: Annotated[int, Field(ge=200, le=599)] = 502


class Redirect(_Behaviour):
    """Status 302 to another address."""

    kind: Literal["redirect"] = "redirect"
    location: str = "/moved"


class Hang(_Behaviour):
    """No answer, ever; the connection stays open until the caller closes it."""

    kind: Literal["hang"] = "hang"


class Reset(_Behaviour):
    """The connection is reset (RST) once the request has been read."""

    kind: Literal["reset"] = "reset"


class CloseWithoutAnswer(_Behaviour):
    """The connection is closed (FIN) once the request has been read."""

    kind: Literal["close_without_answer"] = "close_without_answer"


class CutBody(_Behaviour):
    """A good answer whose connection ends in the middle of the body."""

    kind: Literal["cut_body"] = "cut_body"


Judged = Verdict | Slow | MissingUsage | Truncated
Reply = Judged | MalformedJson | EmptyAnswer | Refusal | SafetyStop | Unfinished
Failure = (
    RateLimited
    | QuotaExhausted
    | Overloaded
    | ServerError
    | Timeout504
    | BadRequest
    | ContextTooLong
    | AuthFailed
    | PermissionDenied
    | ErrorIn200
)
Fault = NotJson | Redirect | Hang | Reset | CloseWithoutAnswer | CutBody
Behaviour = Annotated[Reply | Failure | Fault, Field(discriminator="kind")]
