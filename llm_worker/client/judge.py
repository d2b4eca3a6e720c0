"""The face that every client has, whichever way it asks."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, Unpack, overload

from pydantic import ValidationError

from llm_worker.client.failures import RequestValidationError
from llm_worker.client.judgement import BothOrders, Judgement
from llm_worker.contracts.faults import faults_in_words
from llm_worker.contracts.request import LLMComparisonRequestV1

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PROMPT: Final = (
    "Which of these two essays is the better one? Judge content, structure and language."
)
"""What is asked where the caller gives no prompt."""

DEFAULT_TIMEOUT_S: Final = 300.0
"""Seconds that a comparison may take; the worker's own limit is the same by default."""

GRACE_S: Final = 5.0
"""A worker that knows the deadline answers with TIMEOUT; that answer has to travel too."""


class Wishes(TypedDict, total=False):
    """What a comparison may be asked with; see LLMComparisonRequestV1 and LLMConfigOverrides."""

    prompt: str
    provider: str | None
    model: str | None
    temperature: float | None
    system_prompt: str | None
    max_tokens: int | None
    reasoning_effort: str | None
    output_verbosity: str | None
    organization_id: str | None
    user_id: str | None
    metadata: Mapping[str, Any]
    not_after: datetime | None
    cache_mode: str
    replicate: int


_OVERRIDES: Final = {
    "provider": "provider_override",
    "model": "model_override",
    "temperature": "temperature_override",
    "system_prompt": "system_prompt_override",
    "max_tokens": "max_tokens_override",
    "reasoning_effort": "reasoning_effort",
    "output_verbosity": "output_verbosity",
}


def new_request(
    essay_a: str | None, essay_b: str | None, **wishes: Unpack[Wishes]
) -> LLMComparisonRequestV1:
    """Make a request; without essays the prompt contains both.

    Raises:
        RequestValidationError: A value is not allowed; names the field, quotes nothing.
        TypeError: There is no such wish.
    """
    if unknown := wishes.keys() - Wishes.__annotations__.keys():
        known = ", ".join(Wishes.__annotations__)
        raise TypeError(f"there is no {', '.join(sorted(unknown))} to ask with, but {known}")
    given = {name: value for name, value in wishes.items() if value is not None}
    overrides = {field: given.pop(name) for name, field in _OVERRIDES.items() if name in given}
    document = {
        "user_prompt": given.pop("prompt", DEFAULT_PROMPT),
        "essay_a": essay_a,
        "essay_b": essay_b,
        "llm_config_overrides": overrides or None,
        **given,
    }
    try:
        return LLMComparisonRequestV1.model_validate(document)
    except ValidationError as error:
        words = faults_in_words(error, whole="the request")
    raise RequestValidationError(words)


def swapped(request: LLMComparisonRequestV1) -> LLMComparisonRequestV1:
    """Ask the same with the two essays in the other order."""
    return request.model_copy(update={"essay_a": request.essay_b, "essay_b": request.essay_a})


def due_within(
    request: LLMComparisonRequestV1, timeout_s: float, now: datetime
) -> LLMComparisonRequestV1:
    """Give a request its deadline, unless it has one."""
    if request.not_after is not None:
        return request
    return request.model_copy(update={"not_after": now + timedelta(seconds=timeout_s)})


def utc_now() -> datetime:
    """Tell the time; the default for those who bring no clock."""
    return datetime.now(UTC)  # noqa: TID251 - see above


class Judge(ABC):
    """Whoever gives verdicts on essays."""

    @abstractmethod
    async def judge(
        self, request: LLMComparisonRequestV1, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> Judgement:
        """Ask for one verdict.

        `timeout_s` is told to the worker too, unless the request has a `not_after`: nothing is
        bought after it.

        Raises:
            ComparisonError: There is no verdict; the leaf of its code.
            NoAnswerError: Nothing came in time.
            ClientError: It cannot be asked.
        """

    @overload
    async def compare(
        self,
        essay_a: str,
        essay_b: str,
        *,
        both_orders: Literal[False] = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        **wishes: Unpack[Wishes],
    ) -> Judgement: ...

    @overload
    async def compare(
        self,
        essay_a: str,
        essay_b: str,
        *,
        both_orders: Literal[True],
        timeout_s: float = DEFAULT_TIMEOUT_S,
        **wishes: Unpack[Wishes],
    ) -> BothOrders: ...

    async def compare(
        self,
        essay_a: str,
        essay_b: str,
        *,
        both_orders: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        **wishes: Unpack[Wishes],
    ) -> Judgement | BothOrders:
        """Ask which essay is better; with `both_orders` also with the essays swapped.

        Raises:
            RequestValidationError: An argument is not allowed; nothing was sent.
            ClientError: As `judge` does; of two orders, what the first failure was.
        """
        ab = new_request(essay_a, essay_b, **wishes)
        if not both_orders:
            return await self.judge(ab, timeout_s=timeout_s)
        try:
            async with asyncio.TaskGroup() as asking:
                first = asking.create_task(self.judge(ab, timeout_s=timeout_s))
                second = asking.create_task(self.judge(swapped(ab), timeout_s=timeout_s))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return BothOrders(ab=first.result(), ba=second.result())
