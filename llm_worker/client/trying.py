"""Trying again over HTTP: whether a request may have been taken by then, and when to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenacity import wait_random_exponential

from llm_worker.client.errors import NoAnswerError

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from llm_worker.client.errors import ClientError

_BACKOFF: Final = wait_random_exponential(multiplier=0.5, max=10)


class TryAgainError(Exception):
    """The same request may have its answer later, under the same key; `error` is why not now."""

    def __init__(self, error: ClientError, wait_s: float | None = None) -> None:
        super().__init__()
        self.error = error
        self.wait_s = wait_s


@dataclass(slots=True)
class Asking:
    """One request, and what has become of it so far."""

    body: bytes
    headers: dict[str, str]
    may_be_bought: bool = False
    was_before: bool = False
    """Whether it might be bought before the try under way."""
    last: ClientError | None = None

    def begin(self) -> None:
        """Note that it goes out once more."""
        self.was_before, self.may_be_bought = self.may_be_bought, True

    def was_not_taken(self) -> None:
        """Note that nobody has taken it this time."""
        self.may_be_bought = self.was_before

    def note(self, state: RetryCallState) -> None:
        """Keep an attempt's failure."""
        self.last = _failure_of(state).error

    def ending(self, timeout_s: float) -> ClientError:
        """Say what became of the request once its time is up."""
        if self.last is not None and not self.may_be_bought:
            return self.last
        why = self.last or "check that a worker runs and is ready"
        return NoAnswerError(f"no answer within {timeout_s:g} s: {why}")


def _failure_of(state: RetryCallState) -> TryAgainError:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, TryAgainError)  # noqa: S101 - nothing else is tried again
    return failure


def pause_s(state: RetryCallState) -> float:
    """Say how many seconds to wait before the next try."""
    # Never the told wait alone: it may be 0, and others are told the same.
    return (_failure_of(state).wait_s or 0) + _BACKOFF(state)
