"""What the providers billed, and what callers over HTTP were told, against what Kafka holds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.chaos.evidence import Evidence, Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """An answer that a provider wants money for; `mark` is the request's."""

    provider: str
    mark: str
    call_id: str
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What a caller over HTTP got: a verdict, or an error's code."""

    winner: str | None = None
    justification: str | None = None
    error_code: str | None = None


def read_bills(books: Path) -> tuple[Bill, ...]:
    """Read the providers' books."""
    if not books.exists():
        return ()
    *lines, _half_written = books.read_bytes().split(b"\n")
    return tuple(Bill(**orjson.loads(line)) for line in lines)


def unpaid_bills(evidence: Evidence, bills: Sequence[Bill]) -> Iterator[str]:
    """Name each bill that no cost event tells of, be it as of unknown cost; and each wrong sum."""
    requests = {sent.mark: sent.event_id for sent in evidence.sent}
    known, unknown = _costs(evidence)
    billed = {(bill.provider, bill.call_id): bill for bill in bills}
    for (provider, call_id), cost in known.items():
        bill = billed.get((provider, call_id))
        if bill is None:
            yield f"{provider} was never asked for what cost event {cost['event_id']} tells"
        elif cost["tokens"] != bill.completion_tokens:
            yield f"call {call_id} to {provider} cost {bill.completion_tokens} tokens, not told so"
    for bill in billed.values():
        if (bill.provider, bill.call_id) in known:
            continue
        request_id = requests.get(bill.mark, bill.mark)
        if unknown[request_id] == 0:
            yield f"call {bill.call_id} to {bill.provider} for request {request_id} is told nowhere"
        unknown[request_id] -= unknown[request_id] > 0


def _costs(
    evidence: Evidence,
) -> tuple[dict[tuple[str, str], dict[str, Any]], defaultdict[str, int]]:
    """Give the known costs by provider and its id of the call, and the others' number by request.

    An event is looked at once. Who knows better than "unknown" has the word.
    """
    events: dict[str, Seen] = {}
    for cost in evidence.of_kind(TopicName.COST_TRACKING):
        before = events.get(cost.event_id)
        if before is None or before.envelope["data"]["outcome"] == "unknown":
            events[cost.event_id] = cost
    known: dict[tuple[str, str], dict[str, Any]] = {}
    unknown = defaultdict[str, int](int)
    for event_id, cost in events.items():
        data = cost.envelope["data"]
        call_id = data["metadata"].get("provider_request_id")
        if data["cached"]:
            continue
        if data["cost_known"] and call_id:
            tokens = data["token_usage"].get("completion_tokens")
            known[data["provider"], call_id] = {"event_id": event_id, "tokens": tokens}
        else:
            unknown[cost.request_id] += 1
    return known, unknown


def wrong_answers(
    evidence: Evidence, answers: Mapping[str, HttpAnswer], asked: Sequence[str]
) -> Iterator[str]:
    """Name each caller over HTTP without its answer, or with another than the one on Kafka."""
    results = evidence.answers()
    for mark in asked:
        if mark not in answers:
            yield f"HTTP request {mark} has no answer"
        elif answers[mark] not in map(_as_http, results.get(mark, [])):
            yield f"HTTP request {mark} was answered otherwise than on Kafka"


def _as_http(result: Seen) -> HttpAnswer:
    data = result.envelope["data"]
    if data["error_detail"] is not None:
        return HttpAnswer(error_code=data["error_detail"]["error_code"])
    return HttpAnswer(winner=data["winner"], justification=data["justification"])
