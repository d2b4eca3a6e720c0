"""The port to whoever watches one request on its way: spans around what is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from llm_worker.application.purchases import Joined
    from llm_worker.domain.delivery import Record
    from llm_worker.domain.outcome import Attempt, Ending, FinishedAttempt, Rejected
    from llm_worker.domain.request import ComparisonRequest

    Arrived = ComparisonRequest | Rejected

PublishedT = TypeVar("PublishedT")


class Tracing(Protocol):
    """Spans around the steps of a request.

    Each method gives what its step gives, and none fails by itself. Steps within `consuming`, in
    the same task, belong to its span.
    """

    def consuming(
        self, arrived: Arrived, handle: Callable[[Arrived], Awaitable[Ending]], /
    ) -> Awaitable[Ending]:
        """Handle what arrived, in the caller's trace; `handle` gets it with the trace to go on."""

    def looking_up(self, lookup: Awaitable[Joined], /) -> Awaitable[Joined]:
        """Ask the cache, or wait for another's purchase."""

    def attempting(
        self, request: ComparisonRequest, attempt: Attempt, call: Awaitable[FinishedAttempt], /
    ) -> Awaitable[FinishedAttempt]:
        """Call a provider."""

    def publishing(
        self, records: Sequence[Record], publish: Awaitable[PublishedT], /
    ) -> Awaitable[PublishedT]:
        """Publish records."""

    async def aclose(self) -> None:
        """Send what is left of the spans, in bounded time."""


class NoTracing:
    """Takes no notice of anything."""

    def consuming(
        self, arrived: Arrived, handle: Callable[[Arrived], Awaitable[Ending]], /
    ) -> Awaitable[Ending]:
        """Handle what arrived."""
        return handle(arrived)

    def looking_up(self, lookup: Awaitable[Joined], /) -> Awaitable[Joined]:
        """Ask."""
        return lookup

    def attempting(
        self, _request: ComparisonRequest, _attempt: Attempt, call: Awaitable[FinishedAttempt], /
    ) -> Awaitable[FinishedAttempt]:
        """Call."""
        return call

    def publishing(
        self, _records: Sequence[Record], publish: Awaitable[PublishedT], /
    ) -> Awaitable[PublishedT]:
        """Publish."""
        return publish

    async def aclose(self) -> None:
        """Have nothing to send."""


NO_TRACING: Final = NoTracing()
