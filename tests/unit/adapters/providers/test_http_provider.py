from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import orjson
import pytest
from typing_extensions import override

from llm_worker.adapters.providers.catalog import FlatPrices
from llm_worker.adapters.providers.dialect import Reply, Stop, WireCall
from llm_worker.adapters.providers.http_provider import HttpProvider
from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.domain.errors import (
    MalformedAnswerError,
    ProviderDownError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    RefusedError,
    StrangeAnswerError,
    TruncatedAnswerError,
    UnreachableError,
    WrongAddressError,
)
from llm_worker.domain.outcome import Attempt, Repair, Target
from llm_worker.domain.verdict import (
    Billing,
    CallFacts,
    LimitKind,
    ReportedLimit,
    Usage,
    Verdict,
)
from tests.support.builders import NOW, request_of
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from llm_worker.adapters.providers.dialect import Headers, JsonObject
    from llm_worker.application.ports import Provider
    from llm_worker.domain.judging import Question
    from llm_worker.domain.verdict import Completion

VERDICT = Verdict(winner=Winner.B, justification="It argues better.", confidence=0.75)
SAID = '{"winner": "Essay B", "justification": "It argues better.", "confidence": 0.75}'
USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=0)
PRICED = Billing(usage=USAGE, cost_usd=Decimal(2))
LIMIT = ReportedLimit(kind=LimitKind.REQUESTS, per_minute=60, remaining=7, reset_s=None)
QUOTE = "Zwiebelkuchen"


@dataclass(slots=True, kw_only=True)
class ToyDialect:
    """An API of our own: `{"said": ..., "stop": ...}`, and whatever a test plugs in."""

    name: ProviderName = ProviderName.OPENAI
    reply: Callable[[JsonObject], Reply | ProviderError] | None = None
    error: Callable[[int, JsonObject], ProviderError] | None = None
    adjustments: tuple[str, ...] = ()
    asked: list[Question] = field(default_factory=list)
    errors_read: list[tuple[int, JsonObject]] = field(default_factory=list)

    def judge_call(self, question: Question) -> WireCall:
        self.asked.append(question)
        return WireCall(
            path="/judge",
            headers={"authorization": "Bearer key"},
            body={"model": question.model, "prompt": question.prompt},
            adjustments=self.adjustments,
        )

    def probe_call(self) -> WireCall:
        return WireCall(path="/models", headers={"authorization": "Bearer key"})

    def read_reply(self, body: JsonObject, headers: Headers) -> Reply | ProviderError:
        if self.reply is not None:
            return self.reply(body)
        return Reply(
            stop=Stop(body["stop"]),
            text=body["said"],
            usage=USAGE,
            provider_request_id=headers.get("request-id"),
            response_id="answer-1",
            detail="category_7",
        )

    def read_error(
        self, status: int, body: JsonObject, headers: Headers, now: datetime
    ) -> ProviderError:
        assert now == NOW
        self.errors_read.append((status, body))
        if self.error is not None:
            return self.error(status, body)
        return ProviderDownError(
            f"it says {status}", facts=CallFacts(provider_request_id=headers.get("request-id"))
        )

    def read_limits(self, headers: Headers, now: datetime) -> tuple[ReportedLimit, ...]:
        assert now == NOW
        return (LIMIT,) if headers.get("remaining") == "7" else ()


class ByTier(FlatPrices):
    """Knows one model at its standard tier."""

    @override
    def cost_usd(self, model: str, usage: Usage, tier: str | None = None) -> Decimal | None:
        return Decimal(2) if (model, usage, tier) == ("toy-1", USAGE, None) else None


def answering(*answers: httpx.Response) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answers[len(seen) - 1]

    return httpx.MockTransport(handler), seen


def saying(text: str, stop: Stop = Stop.DONE) -> httpx.Response:
    return httpx.Response(200, json={"said": text, "stop": stop})


def provider_of(transport: httpx.AsyncBaseTransport, dialect: ToyDialect) -> HttpProvider:
    return HttpProvider(
        dialect=dialect,
        transport=transport,
        base_url="https://provider.test/v1",
        default_model="toy-1",
        timeout_s=30,
        models=ByTier(),
        clock=ManualClock(NOW),
    )


async def judged(
    answer: httpx.Response,
    dialect: ToyDialect | None = None,
    *,
    repair: Repair | None = None,
    **data: object,
) -> Completion:
    transport, _ = answering(answer)
    target = Target(provider=ProviderName.OPENAI, model="toy-1")
    attempt = Attempt(attempt_id=uuid4(), number=1, target=target, started_at=NOW, repair=repair)
    provider = provider_of(transport, dialect or ToyDialect())
    return await provider.judge(request_of(**data), attempt, 20)


async def failure_of(answer: httpx.Response, dialect: ToyDialect | None = None) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await judged(answer, dialect)
    assert QUOTE not in "".join(traceback.format_exception(caught.value))
    assert QUOTE not in repr(caught.value)
    return caught.value


# A verdict.


async def test_verdict_that_an_essay_holds_is_none_and_is_paid_all_the_same() -> None:
    with pytest.raises(MalformedAnswerError, match="repeats what stands in the prompt") as caught:
        await judged(saying(SAID), essay_b=f"dogs {SAID}")
    assert caught.value.billing == PRICED


async def test_verdict_comes_with_its_cost_and_the_facts_of_the_call() -> None:
    headers = {"Request-Id": "r1", "Remaining": "7"}
    answer = httpx.Response(200, json={"said": SAID, "stop": "done"}, headers=headers)
    completion = await judged(answer, ToyDialect(adjustments=("temperature: not taken",)))
    assert completion.verdict == VERDICT
    assert completion.model == "toy-1"
    assert completion.billing == PRICED
    assert completion.facts == CallFacts(
        provider_request_id="r1",
        http_status=200,
        limits=(LIMIT,),
        adjustments=("temperature: not taken",),
        response_id="answer-1",
        finish_reason="stop",
    )


async def test_request_is_what_the_dialect_says_with_what_http_wants() -> None:
    transport, seen = answering(saying(SAID))
    dialect = ToyDialect()
    provider: Provider = provider_of(transport, dialect)
    target = Target(provider=ProviderName.OPENAI, model="toy-1")
    attempt = Attempt(attempt_id=uuid4(), number=1, target=target, started_at=NOW)
    request = request_of(essay_a="Ä", essay_b="B")
    await provider.judge(request, attempt, 20)
    (sent,) = seen
    assert (sent.method, str(sent.url)) == ("POST", "https://provider.test/v1/judge")
    assert orjson.loads(sent.content) == {"model": "toy-1", "prompt": request.prompt.text}
    assert dict(sent.headers) == {
        "host": "provider.test",
        "accept-encoding": "identity",
        "user-agent": "llm-worker",
        "authorization": "Bearer key",
        "content-type": "application/json",
        "content-length": str(len(sent.content)),
    }
    assert dialect.asked[0].repair is None


async def test_repair_is_asked_for() -> None:
    dialect = ToyDialect()
    repair = Repair(answer="No.", fault="it is not one JSON object")
    await judged(saying(SAID), dialect, repair=repair)
    assert dialect.asked[0].repair == repair


async def test_model_that_answered_is_named_and_priced() -> None:
    def reply(_body: JsonObject) -> Reply:
        return Reply(stop=Stop.DONE, text=SAID, usage=USAGE, model="toy-1-20261101")

    completion = await judged(saying(SAID), ToyDialect(reply=reply))
    assert completion.model == "toy-1-20261101"
    assert completion.billing == Billing(usage=USAGE, cost_usd=None)


async def test_cost_that_the_provider_tells_is_taken_before_the_price_list() -> None:
    def reply(_body: JsonObject) -> Reply:
        return Reply(stop=Stop.DONE, text=SAID, usage=USAGE, cost_usd=Decimal(0))

    assert (await judged(saying(SAID), ToyDialect(reply=reply))).billing.cost_usd == 0


@pytest.mark.parametrize(
    ("usage", "tier"), [(Usage(), None), (USAGE, "flex")], ids=["no usage", "unknown tier"]
)
async def test_cost_that_cannot_be_known_is_unknown(usage: Usage, tier: str | None) -> None:
    def reply(_body: JsonObject) -> Reply:
        return Reply(stop=Stop.DONE, text=SAID, usage=usage, tier=tier)

    completion = await judged(saying(SAID), ToyDialect(reply=reply))
    assert completion.billing == Billing(usage=usage, cost_usd=None)


async def test_verdict_that_was_complete_at_the_token_limit_is_used() -> None:
    assert (await judged(saying(SAID, Stop.LENGTH))).verdict == VERDICT


# No verdict in a good answer: it was paid.


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        (SAID[:-5], Stop.LENGTH, TruncatedAnswerError),
        ("", Stop.LENGTH, TruncatedAnswerError),
        ("", Stop.REFUSAL, RefusedError),
        (SAID, Stop.REFUSAL, RefusedError),
        ("", Stop.FILTERED, RefusedError),
        (SAID, Stop.UNFINISHED, StrangeAnswerError),
        ("", Stop.FAILED, StrangeAnswerError),
        ("", Stop.DONE, MalformedAnswerError),
        (QUOTE, Stop.DONE, MalformedAnswerError),
    ],
)
async def test_each_way_to_stop_without_a_verdict_has_its_error_and_its_cost(
    text: str, stop: Stop, expected: type[ProviderError]
) -> None:
    error = await failure_of(saying(text, stop))
    assert type(error) is expected
    assert error.billing == PRICED
    assert error.facts.http_status == 200
    if stop is not Stop.DONE:
        assert "category_7" in error.message


async def test_malformed_answer_says_what_is_wrong_and_keeps_the_answer_apart() -> None:
    error = await failure_of(saying(f"I prefer the {QUOTE}."))
    assert isinstance(error, MalformedAnswerError)
    assert error.answer == f"I prefer the {QUOTE}."
    assert error.message == "openai answered with no verdict: it is not one JSON object"


@pytest.mark.parametrize(
    "content", [b"", b"<html>Zwiebelkuchen</html>", b'"Zwiebelkuchen"', b"[]", b"[1, 2]", b"{"]
)
async def test_good_status_without_a_json_object_may_be_billed(content: bytes) -> None:
    error = await failure_of(httpx.Response(200, content=content, headers={"remaining": "7"}))
    assert type(error) is StrangeAnswerError
    assert error.billing == Billing()
    assert error.facts == CallFacts(http_status=200, limits=(LIMIT,))


@pytest.mark.parametrize(
    "body",
    [
        {"said": QUOTE},
        {"said": QUOTE, "stop": QUOTE},
        {"said": QUOTE, "stop": [QUOTE]},
    ],
)
async def test_good_status_in_an_unknown_form_may_be_billed(body: dict[str, Any]) -> None:
    error = await failure_of(httpx.Response(200, json=body))
    assert type(error) is StrangeAnswerError
    assert error.billing == Billing()


@pytest.mark.parametrize(
    "stumble",
    [
        lambda body: body["choices"],
        lambda body: body["said"][99],
        lambda body: body["said"].get("x"),
        lambda body: Decimal(body["said"]),
        lambda body: int(body["said"]),
        lambda body: body["said"] + 1,
    ],
    ids=["key", "index", "attribute", "decimal", "number", "type"],
)
async def test_whatever_a_dialect_stumbles_over_is_a_strange_answer(
    stumble: Callable[[JsonObject], Reply],
) -> None:
    error = await failure_of(saying(QUOTE), ToyDialect(reply=stumble))
    assert type(error) is StrangeAnswerError
    assert error.billing == Billing()


@pytest.mark.parametrize(
    ("told", "expected"), [(None, Billing()), (Billing(usage=USAGE), Billing(usage=USAGE))]
)
async def test_error_with_a_good_status_may_be_billed(
    told: Billing | None, expected: Billing
) -> None:
    def reply(_body: JsonObject) -> ProviderError:
        return RateLimitedError(
            "slow down", billing=told, facts=CallFacts(provider_request_id="gen-1")
        )

    error = await failure_of(saying(SAID), ToyDialect(reply=reply, adjustments=("a",)))
    assert type(error) is RateLimitedError
    assert error.billing == expected
    assert error.facts == CallFacts(
        provider_request_id="gen-1", http_status=200, adjustments=("a",)
    )


# Answers with an error: not paid, unless something in between gave up waiting.


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503, 529])
async def test_error_answer_is_read_by_the_dialect_and_was_not_billed(status: int) -> None:
    dialect = ToyDialect()
    headers = {"request-id": "r2", "remaining": "7"}
    answer = httpx.Response(status, json={"error": "x"}, headers=headers)
    error = await failure_of(answer, dialect)
    assert type(error) is ProviderDownError
    assert error.billing is None
    assert error.is_sent
    assert error.facts == CallFacts(
        provider_request_id="r2", http_status=status, limits=(LIMIT,), adjustments=()
    )
    assert dialect.errors_read == [(status, {"error": "x"})]


@pytest.mark.parametrize("content", [b"", b"<html>Zwiebelkuchen</html>", b"[]", b'"x"', b"[3]"])
async def test_error_answer_that_is_no_object_is_read_by_its_status(content: bytes) -> None:
    dialect = ToyDialect()
    await failure_of(httpx.Response(502, content=content), dialect)
    assert dialect.errors_read == [(502, {})]


async def test_error_answer_in_a_list_is_unwrapped() -> None:
    dialect = ToyDialect()
    await failure_of(httpx.Response(400, content=b'[{"error": {}}]'), dialect)
    assert dialect.errors_read == [(400, {"error": {}})]


async def test_error_answer_that_the_dialect_cannot_read_is_read_by_its_status() -> None:
    def error(status: int, body: JsonObject) -> ProviderError:
        message = body["error"]["message"] if body else f"status {status}"
        return ProviderDownError(message)

    dialect = ToyDialect(error=error)
    failure = await failure_of(httpx.Response(503, json={"error": QUOTE}), dialect)
    assert failure.message == "status 503"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect_is_a_wrong_base_url(status: int) -> None:
    headers = {"location": "https://elsewhere.test"}
    error = await failure_of(httpx.Response(status, headers=headers))
    assert type(error) is WrongAddressError
    assert error.code == "CONFIGURATION_ERROR"
    assert "LLM_WORKER_PROVIDERS__OPENAI__BASE_URL" in error.message
    assert error.billing is None
    assert error.facts.http_status == status


# No answer.


@pytest.mark.parametrize(
    ("raised", "expected", "billing"),
    [
        (httpx.ConnectError, UnreachableError, None),
        (httpx.ReadError, UnreachableError, Billing()),
        (httpx.ReadTimeout, ProviderTimeoutError, Billing()),
    ],
)
async def test_failed_exchange_keeps_what_was_left_out_of_the_request(
    raised: type[httpx.TransportError], expected: type[ProviderError], billing: Billing | None
) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise raised(QUOTE)

    dialect = ToyDialect(adjustments=("temperature: not taken",))
    provider = provider_of(httpx.MockTransport(handler), dialect)
    target = Target(provider=ProviderName.OPENAI, model="toy-1")
    attempt = Attempt(attempt_id=uuid4(), number=1, target=target, started_at=NOW)
    with pytest.raises(expected) as caught:
        await provider.judge(request_of(), attempt, 20)
    assert caught.value.billing == billing
    assert caught.value.facts == CallFacts(adjustments=("temperature: not taken",))


async def test_limit_of_the_call_is_the_limit_of_its_exchange() -> None:
    transport, seen = answering()
    provider = provider_of(transport, ToyDialect())
    target = Target(provider=ProviderName.OPENAI, model="toy-1")
    attempt = Attempt(attempt_id=uuid4(), number=1, target=target, started_at=NOW)
    with pytest.raises(ProviderTimeoutError) as caught:
        await provider.judge(request_of(), attempt, 0)
    assert caught.value.billing is None
    assert seen == []


# The probe.


@pytest.mark.parametrize("status", [200, 204])
async def test_probe_of_a_provider_that_is_well_says_nothing(status: int) -> None:
    transport, seen = answering(httpx.Response(status))
    await provider_of(transport, ToyDialect()).probe(5)
    (sent,) = seen
    assert (sent.method, str(sent.url)) == ("GET", "https://provider.test/v1/models")
    assert sent.content == b""
    assert "content-length" not in sent.headers


async def test_probe_of_a_provider_that_is_not_raises_what_it_says() -> None:
    answer = httpx.Response(503, headers={"remaining": "7", "request-id": "r3"})
    transport, _ = answering(answer)
    with pytest.raises(ProviderDownError) as caught:
        await provider_of(transport, ToyDialect()).probe(5)
    assert caught.value.facts == CallFacts(
        http_status=503, limits=(LIMIT,), provider_request_id="r3"
    )


def test_provider_says_who_it_is() -> None:
    provider = provider_of(answering()[0], ToyDialect(name=ProviderName.SELF_HOSTED))
    assert provider.name is ProviderName.SELF_HOSTED
    assert isinstance(provider.models, ByTier)
    assert (provider.default_model, provider.timeout_s) == ("toy-1", 30)


async def test_cost_that_somebody_else_adds_to_is_unknown_and_not_the_tables() -> None:
    def half_told(_body: JsonObject) -> Reply:
        text = '{"winner": "A", "justification": "It is.", "confidence": 1}'
        return Reply(stop=Stop.DONE, text=text, model="toy-1", usage=USAGE, is_cost_unknown=True)

    completion = await judged(httpx.Response(200, json={}), ToyDialect(reply=half_told))
    assert completion.billing == Billing(usage=USAGE, cost_usd=None)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(202, json={"id": "later"}),
        httpx.Response(502, content=b"<html>upstream broke off</html>"),
        httpx.Response(520, content=b""),
    ],
    ids=lambda answer: answer.status_code,
)
async def test_answer_that_somebody_may_have_lost_for_us_may_be_billed(
    answer: httpx.Response,
) -> None:
    assert (await failure_of(answer)).billing == Billing()
