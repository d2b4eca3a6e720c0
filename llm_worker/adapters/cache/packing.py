"""Outcomes, attempts and verdicts as bytes: versioned, compressed where it pays."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgpack

from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.domain.cached import CachedVerdict
from llm_worker.domain.delivery import Record
from llm_worker.domain.outcome import Attempt, Repair, Target
from llm_worker.domain.verdict import Billing, CallFacts, Completion, Usage, Verdict

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSION: Final = 1
_COMPRESSED_ABOVE_BYTES: Final = 1_000
_PLAIN: Final = bytes([VERSION, 0])
_ZSTD: Final = bytes([VERSION, 1])
_compressor: Final = zstd.ZstdCompressor(level=1)  # kept: making one costs as much as its work


class UnknownFormError(Exception):
    """Bytes of another version, or of nobody we know."""


@contextmanager
def _reading() -> Iterator[None]:
    """Name whatever a form that we do not know breaks."""
    try:
        yield
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise UnknownFormError("bytes of no form that we know") from error


def pack_records(records: Sequence[Record]) -> bytes:
    """Write records down, byte for byte."""
    return _pack(
        [
            [record.topic, record.key, record.value, record.headers, record.is_own]
            for record in records
        ]
    )


def unpack_records(packed: bytes) -> tuple[Record, ...]:
    """Read them back. Raises UnknownFormError."""
    with _reading():
        return tuple(
            Record(
                topic=topic,
                key=key,
                value=value,
                headers=tuple((name, said) for name, said in headers),
                is_own=is_own,
            )
            for topic, key, value, headers, is_own in _unpack(packed)
        )


def pack_attempt(attempt: Attempt) -> bytes:
    """Write down what has to be known of an attempt whose end is not; the repair's text is not."""
    return _pack(
        [
            attempt.attempt_id.bytes,
            attempt.number,
            attempt.target.provider,
            attempt.target.model,
            attempt.started_at.isoformat(),
            attempt.repair is not None,
            attempt.is_probe,
        ]
    )


def unpack_attempt(packed: bytes) -> Attempt:
    """Read it back. Raises UnknownFormError."""
    with _reading():
        attempt_id, number, provider, model, started_at, is_repair, is_probe = _unpack(packed)
        return Attempt(
            attempt_id=UUID(bytes=attempt_id),
            number=number,
            target=Target(provider=ProviderName(provider), model=model),
            started_at=datetime.fromisoformat(started_at),
            repair=Repair(answer="", fault="") if is_repair else None,
            is_probe=is_probe,
        )


def pack_verdict(cached: CachedVerdict) -> bytes:
    """Write a verdict down, with who paid for it."""
    completion = cached.completion
    verdict, usage, cost_usd = (
        completion.verdict,
        completion.billing.usage,
        completion.billing.cost_usd,
    )
    return _pack(
        {
            "provider": cached.provider,
            "model": completion.model,
            "winner": verdict.winner,
            "justification": verdict.justification,
            "confidence": verdict.confidence,
            "usage": [
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                usage.reasoning_tokens,
                usage.cache_write_1h_tokens,
            ],
            "cost_usd": None if cost_usd is None else str(cost_usd),
            "adjustments": completion.facts.adjustments,
            "bought_by": cached.bought_by.bytes,
            "organization": cached.organization_id,
            "bought_at": cached.bought_at.isoformat(),
        }
    )


def unpack_verdict(packed: bytes) -> CachedVerdict:
    """Read it back. Raises UnknownFormError."""
    with _reading():
        fields = _unpack(packed)
        prompt, answer, cache_read, cache_write, reasoning, cache_write_1h = fields["usage"]
        cost_usd = fields["cost_usd"]
        return CachedVerdict(
            provider=ProviderName(fields["provider"]),
            completion=Completion(
                verdict=Verdict(
                    winner=Winner(fields["winner"]),
                    justification=fields["justification"],
                    confidence=fields["confidence"],
                ),
                model=fields["model"],
                billing=Billing(
                    usage=Usage(
                        prompt_tokens=prompt,
                        completion_tokens=answer,
                        cache_read_tokens=cache_read,
                        cache_write_tokens=cache_write,
                        reasoning_tokens=reasoning,
                        cache_write_1h_tokens=cache_write_1h,
                    ),
                    cost_usd=None if cost_usd is None else Decimal(cost_usd),
                ),
                facts=CallFacts(adjustments=tuple(fields["adjustments"])),
            ),
            bought_by=UUID(bytes=fields["bought_by"]),
            organization_id=fields["organization"],
            bought_at=datetime.fromisoformat(fields["bought_at"]),
        )


def verdict_or_none(packed: bytes) -> CachedVerdict | None:
    """Read a verdict back; None in a form that we do not know."""
    try:
        return unpack_verdict(packed)
    except UnknownFormError:
        return None


def _pack(form: object) -> bytes:
    packed: bytes = msgpack.packb(form)
    if len(packed) <= _COMPRESSED_ABOVE_BYTES:
        return _PLAIN + packed
    return _ZSTD + _compressor.compress(packed, zstd.ZstdCompressor.FLUSH_FRAME)


def _unpack(packed: bytes) -> Any:  # noqa: ANN401 - its callers know the form
    head, body = packed[:2], packed[2:]
    if head not in {_PLAIN, _ZSTD}:
        raise UnknownFormError("bytes of another version")
    try:
        return msgpack.unpackb(zstd.decompress(body) if head == _ZSTD else body)
    except (ValueError, msgpack.UnpackException, zstd.ZstdError) as error:
        raise UnknownFormError("bytes of no form that we know") from error
