"""A comparison request as the core sees it: identity, prompt, deadline."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from llm_worker.domain.errors import ContentTooLongError
from llm_worker.domain.framing import with_essays

if TYPE_CHECKING:
    from datetime import datetime

    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.domain.delivery import Delivery

PROMPT_LIMIT_BYTES = 1_000_000
"""UTF-8 bytes of a prompt; about 250,000 tokens, where the largest context windows end."""

RECORD_NAMESPACE = UUID("6b0f6a54-3f0e-5a8e-9d0c-6f2f4f6f7a11")
"""Namespace of the ids of requests that came without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The exact text that a provider is sent, its size in UTF-8, and its SHA-256 in hex."""

    text: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRequest:
    """One request.

    `data_hash` tells two contents under one `request_id` apart. `deadline_s` is monotonic.
    """

    request_id: UUID
    data_hash: bytes
    correlation_id: UUID
    trace: dict[str, str]
    asked: LLMComparisonRequestV1
    prompt: Prompt
    delivery: Delivery
    requested_at: datetime
    deadline_s: float


def id_of_record(topic: str, partition: int, offset: int) -> UUID:
    """Name a request that came without an event id."""
    return uuid5(RECORD_NAMESPACE, f"{topic}/{partition}/{offset}")


def read_uuid(value: object) -> UUID | None:
    """Read what a caller wrote as a UUID; None where it is none."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def rejection_namespace(request_id: UUID, data_hash: bytes) -> UUID:
    """Where a rejection draws its event's id from.

    Not from the request id alone: once mended, or allowed, the request may get a verdict under it.
    """
    return uuid5(request_id, data_hash.hex())


def build_prompt(asked: LLMComparisonRequestV1) -> Prompt:
    """Put the essays into the prompt.

    Raises:
        ContentTooLongError: the text has more than `PROMPT_LIMIT_BYTES`.
    """
    text = asked.user_prompt
    if asked.essay_a is not None and asked.essay_b is not None:
        text = with_essays(text, asked.essay_a, asked.essay_b)
    encoded = text.encode()
    if len(encoded) > PROMPT_LIMIT_BYTES:
        raise ContentTooLongError(
            f"user_prompt with its essays has {len(encoded)} bytes; "
            f"shorten it to {PROMPT_LIMIT_BYTES} or fewer"
        )
    return Prompt(text=text, size_bytes=len(encoded), sha256=sha256(encoded).hexdigest())


def deadline_of(
    not_after: datetime | None, *, now: datetime, now_s: float, longest_s: float
) -> float:
    """Say when a request ends on the monotonic clock: `not_after`, at most `longest_s` away."""
    if not_after is None:
        return now_s + longest_s
    return now_s + min(longest_s, (not_after - now).total_seconds())
