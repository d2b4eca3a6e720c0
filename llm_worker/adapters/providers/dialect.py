"""What one provider's API is, in values: the part of an adapter that differs.

A dialect builds calls and reads answers; it does no I/O. Sending, deadlines, prices, the check of
the verdict and everything else that is the same for all is `http_provider.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from llm_worker.domain.verdict import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.errors import ProviderError
    from llm_worker.domain.judging import Question
    from llm_worker.domain.verdict import ReportedLimit

    JsonObject = Mapping[str, Any]
    Headers = Mapping[str, str]  # names in lower case


@dataclass(frozen=True, slots=True, kw_only=True)
class WireCall:
    """An HTTP request: `path` follows the base URL; without a body it is a GET.

    `adjustments` are parameters that were asked for and left out, each with its reason.
    """

    path: str
    headers: Headers
    body: dict[str, Any] | None = None
    adjustments: tuple[str, ...] = ()


class Stop(StrEnum):
    """Why the model stopped."""

    DONE = "done"
    LENGTH = "length"
    REFUSAL = "refusal"
    FILTERED = "filtered"
    UNFINISHED = "unfinished"
    """It would have gone on: paused, or waiting for a continuation."""
    FAILED = "failed"
    """The provider says in a 200 answer that it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer with status 200, read.

    `text` is what should be the verdict's JSON. `cost_usd` is what the provider itself says it
    charged, or 0 where its rules say so; None: its prices tell, unless `is_cost_unknown`, since
    somebody else charges, too.
    `tier` is the service tier that it was priced by, None for the standard one.
    """

    stop: Stop
    text: str = ""
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    tier: str | None = None
    cost_usd: Decimal | None = None
    is_cost_unknown: bool = False
    provider_request_id: str | None = None
    response_id: str | None = None
    detail: str = ""
    """A code of the provider's for the stop: a category, never text of the answer."""


class Dialect(Protocol):
    """One provider's API."""

    name: ProviderName

    def judge_call(self, question: Question) -> WireCall:
        """Build the call that asks for a verdict; a parameter the model refuses is left out."""

    def probe_call(self) -> WireCall:
        """Build a call that costs nothing and that the provider answers with 200 when well."""

    def read_reply(self, body: JsonObject, headers: Headers) -> Reply | ProviderError:
        """Read an answer with status 200; a ProviderError where it is an error all the same.

        Raises:
            LookupError, TypeError, ValueError: it has not the form that the API speaks.
        """

    def read_error(
        self, status: int, body: JsonObject, headers: Headers, now: datetime
    ) -> ProviderError:
        """Say what an answer with another status means; `body` is empty where it is no object."""

    def read_limits(self, headers: Headers, now: datetime) -> tuple[ReportedLimit, ...]:
        """Read what the headers say of limits; empty where they say nothing."""
