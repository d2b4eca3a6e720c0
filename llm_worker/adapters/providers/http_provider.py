"""A provider over HTTP: everything that is the same whatever its dialect."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, assert_never

import httpx
import orjson

from llm_worker.adapters.providers.answers import read_verdict
from llm_worker.adapters.providers.dialect import Stop
from llm_worker.adapters.providers.fields import code_in, name_in
from llm_worker.adapters.providers.transport import exchange
from llm_worker.domain.errors import (
    MalformedAnswerError,
    ProviderError,
    RefusedError,
    StrangeAnswerError,
    TruncatedAnswerError,
    WrongAddressError,
)
from llm_worker.domain.judging import question_of
from llm_worker.domain.verdict import Billing, CallFacts, Completion, Usage

if TYPE_CHECKING:
    from datetime import datetime

    from llm_worker.adapters.providers.catalog import PricedModels
    from llm_worker.adapters.providers.dialect import Dialect, Reply, WireCall
    from llm_worker.adapters.providers.transport import Answer
    from llm_worker.application.ports import Clock
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Verdict

_OK: Final = 200

_FINISH_REASONS: Final = MappingProxyType(
    {
        Stop.DONE: "stop",
        Stop.LENGTH: "length",
        Stop.REFUSAL: "content_filter",
        Stop.FILTERED: "content_filter",
        Stop.UNFINISHED: "error",
        Stop.FAILED: "error",
    }
)

_MISREADINGS: Final = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError)
"""What a dialect stumbles with over an answer that has not the form it knows."""


@dataclass(slots=True, kw_only=True, eq=False)
class HttpProvider:
    """One server that speaks one dialect; `timeout_s` is how long one call may take."""

    dialect: Dialect
    transport: httpx.AsyncBaseTransport
    base_url: str
    default_model: str
    timeout_s: float
    models: PricedModels
    clock: Clock
    name: ProviderName = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.dialect.name

    async def judge(
        self, request: ComparisonRequest, attempt: Attempt, limit_s: float
    ) -> Completion:
        """Buy one verdict, within `limit_s` seconds.

        Raises:
            ProviderError: no usable verdict; its `billing` says what was paid all the same.
        """
        try:
            return await self._judge(request, attempt, limit_s)
        except ProviderError as error:
            if error.billing == Billing():  # unknown, save where nothing that runs there costs
                cost_usd = self.models.cost_usd(attempt.target.model, Usage())
                error.billing = Billing(cost_usd=cost_usd)
            raise

    async def probe(self, limit_s: float) -> None:
        """Ask something that costs nothing, to see whether the provider answers.

        Raises:
            ProviderError: it does not.
        """
        call = self.dialect.probe_call()
        answer = await self._ask(call, limit_s)
        if not httpx.codes.is_success(answer.status):
            now = self.clock.now()
            error = _error_in(answer, self.dialect, now)
            error.facts = self._facts(call, answer, now, error.facts.provider_request_id)
            raise error

    async def aclose(self) -> None:
        """Close the connections."""
        await self.transport.aclose()

    async def _judge(
        self, request: ComparisonRequest, attempt: Attempt, limit_s: float
    ) -> Completion:
        call = self.dialect.judge_call(question_of(request, attempt))
        answer = await self._ask(call, limit_s)
        now = self.clock.now()
        reply = _reply_in(answer, self.dialect, now)
        if isinstance(reply, ProviderError):
            reply.facts = self._facts(call, answer, now, reply.facts.provider_request_id)
            raise reply
        facts = self._facts(call, answer, now, reply.provider_request_id, reply)
        model = reply.model or attempt.target.model
        billing = self._billing(reply, model)
        verdict = _verdict_in(reply, request.prompt.text, self.name, billing, facts)
        shown = name_in(model) or attempt.target.model
        return Completion(verdict=verdict, model=shown, billing=billing, facts=facts)

    async def _ask(self, call: WireCall, limit_s: float) -> Answer:
        request = _http_request(_url(self.base_url + call.path), call)
        try:
            return await exchange(self.transport, request, provider=self.name, limit_s=limit_s)
        except ProviderError as error:
            error.facts = replace(error.facts, adjustments=call.adjustments)
            raise

    def _facts(
        self,
        call: WireCall,
        answer: Answer,
        now: datetime,
        request_id: str | None,
        reply: Reply | None = None,
    ) -> CallFacts:
        return CallFacts(
            provider_request_id=code_in(request_id),
            http_status=answer.status,
            limits=self.dialect.read_limits(answer.headers, now),
            adjustments=call.adjustments,
            response_id=reply.response_id if reply else None,
            finish_reason=_FINISH_REASONS[reply.stop] if reply else None,
        )

    def _billing(self, reply: Reply, model: str) -> Billing:
        cost_usd = reply.cost_usd
        if cost_usd is None and not reply.is_cost_unknown:
            cost_usd = self.models.cost_usd(model, reply.usage, reply.tier)
        return Billing(usage=reply.usage, cost_usd=cost_usd)


_url = lru_cache(maxsize=256)(httpx.URL)


def _http_request(url: httpx.URL, call: WireCall) -> httpx.Request:
    # Copied: orjson leaves its buffer's spare room attached, and a call takes seconds.
    body = b"" if call.body is None else bytes(memoryview(orjson.dumps(call.body)))
    headers = {
        "host": url.netloc.decode(),
        "accept-encoding": "identity",
        "user-agent": "llm-worker",
        **call.headers,
    }
    if call.body is not None:
        headers |= {"content-type": "application/json", "content-length": str(len(body))}
    # A stream that is read at once: with `content` httpx takes three times as long, to find out
    # the host and the length.
    request = httpx.Request(
        "GET" if call.body is None else "POST", url, headers=headers, stream=httpx.ByteStream(body)
    )
    request.read()
    return request


def _reply_in(answer: Answer, dialect: Dialect, now: datetime) -> Reply | ProviderError:
    if answer.status != _OK:
        return _error_in(answer, dialect, now)
    body = _object_in(answer.body)
    if body is None:
        return _strange(dialect.name, "no JSON object")
    try:
        reply = dialect.read_reply(body, answer.headers)
    except _MISREADINGS as error:
        # Its name alone: its words may quote the answer.
        return _strange(dialect.name, f"unknown JSON, {type(error).__name__}")
    if isinstance(reply, ProviderError) and reply.billing is None:
        reply.billing = Billing()  # with status 200 the model had begun
    return reply


def _error_in(answer: Answer, dialect: Dialect, now: datetime) -> ProviderError:
    if httpx.codes.is_redirect(answer.status):
        return WrongAddressError(
            f"{dialect.name} has moved, says status {answer.status}: correct "
            f"LLM_WORKER_PROVIDERS__{dialect.name.upper()}__BASE_URL"
        )
    body = _object_in(answer.body)
    try:
        error = dialect.read_error(answer.status, body or {}, answer.headers, now)
    except _MISREADINGS:
        error = dialect.read_error(answer.status, {}, answer.headers, now)
    if error.billing is None and _may_be_billed(answer.status, body):
        error.billing = Billing()
    return error


def _may_be_billed(status: int, body: object) -> bool:
    """Say whether the model may have answered, though nothing that we can read came of it.

    A page that is not the provider's JSON is of somebody between us, who lost the answer.
    """
    return httpx.codes.is_success(status) or (httpx.codes.is_server_error(status) and body is None)


def _object_in(body: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]  # Google wraps its errors so, at times
    return found if isinstance(found, dict) else None


def _strange(provider: ProviderName, found: str) -> StrangeAnswerError:
    return StrangeAnswerError(
        f"{provider} answered with status 200, and not as its API does ({found}): check "
        f"LLM_WORKER_PROVIDERS__{provider.upper()}__BASE_URL and proxies",
        billing=Billing(),
    )


def _verdict_in(
    reply: Reply, prompt: str, provider: ProviderName, billing: Billing, facts: CallFacts
) -> Verdict:
    """Read the verdict, also where the model would have gone on after it."""
    why = f" ({reply.detail})" if reply.detail else ""
    match reply.stop:
        case Stop.DONE | Stop.LENGTH:
            try:
                return read_verdict(reply.text, prompt=prompt)
            except ValueError as error:
                if reply.stop is Stop.DONE:
                    raise MalformedAnswerError(
                        f"{provider} answered with no verdict: {error}",
                        answer=reply.text,
                        fault=str(error),
                        billing=billing,
                        facts=facts,
                    ) from None
            raise TruncatedAnswerError(
                f"{provider} stopped at its token limit before the verdict was complete{why}: "
                "raise max_tokens_override or lower reasoning_effort",
                billing=billing,
                facts=facts,
            )
        case Stop.REFUSAL | Stop.FILTERED:
            raise RefusedError(
                f"{provider} will not judge this text{why}: ask another provider, or change it",
                billing=billing,
                facts=facts,
            )
        case Stop.UNFINISHED | Stop.FAILED:
            raise StrangeAnswerError(
                f"{provider} gave up before it had answered{why}", billing=billing, facts=facts
            )
        case _:
            assert_never(reply.stop)
