"""Hard limits: an estimate is set aside before each attempt, where all workers see it.

While Redis is away, or has been emptied and not been told again what was spent, this process judges
alone by its share of what is left.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from llm_worker.adapters.cache.budget_sums import Fence, Reservation
from llm_worker.adapters.cache.link import CacheAwayError, NotAskedError
from llm_worker.application.ports import GRANTED, BudgetBusyError
from llm_worker.domain.estimate import most_usage, nano_usd, usd_of
from llm_worker.domain.local_budget import LocalBudget, Room
from llm_worker.domain.over_budget import over_budget, unpriced
from llm_worker.domain.spend import NOBODY, Scope, day_of, month_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
    from decimal import Decimal
    from uuid import UUID

    from llm_worker.adapters.cache.budget_sums import Sums
    from llm_worker.adapters.cache.seeding import Seeding
    from llm_worker.application.ports import Clock, Provider
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.budgets import Budgets
    from llm_worker.domain.local_budget import Place
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.spend_view import SpendView
    from llm_worker.domain.verdict import Billing

_BUSY_FOR_S: Final = 0.1
"""How long nobody asks again for what did not fit, unless a call of ours ends."""
_FLOORS_FOR_S: Final = 0.5
"""How long they are not added up again: what is published lags behind by more."""
_FENCES_AT_MOST: Final = 1_000
_NO_LIMITS: Final = Fence((), "")


class BudgetObserver(Protocol):
    """Who counts what the budget does."""

    def budget_refused(self, reason: Literal["over", "unpriced"]) -> None:
        """Note an attempt that was not made."""

    def budget_waited(self) -> None:
        """Note an attempt that has to wait until others have ended."""

    def budget_unshared(self) -> None:
        """Note an attempt that was judged by this process alone."""


class HardBudget:
    """The hard limits as they stand in `budgets`, which gives the same object until they change.

    Args:
        budgets: Gives the limits.
        spend: What the accountant has published; nothing less was spent.
        clock: An attempt belongs to the day, in UTC, on which it is reserved.
        providers: They know the prices.
        sums: What all processes have spent and set aside.
        seeding: Tells `sums` what was spent when they are empty.
        share: Gives this process's part, 0..1, of what it may spend without asking.
        observer: Is told what is refused.
    """

    def __init__(  # noqa: PLR0913 - parts that are made elsewhere, each named
        self,
        *,
        budgets: Callable[[], Budgets],
        spend: SpendView,
        clock: Clock,
        providers: Mapping[ProviderName, Provider],
        sums: Sums,
        seeding: Seeding,
        share: Callable[[], float],
        observer: BudgetObserver,
    ) -> None:
        self._budgets = budgets
        self._spend = spend
        self._clock = clock
        self._providers = providers
        self._sums = sums
        self._seeding = seeding
        self._share = share
        self._observer = observer
        self._own = LocalBudget()
        self._open: dict[UUID, Reservation] = {}
        self._unshared: dict[UUID, Reservation] = {}
        self._reserved = 0
        self._epoch = b""
        self._seen: Budgets | None = None
        self._day = ""
        self._fences: dict[tuple[str, ProviderName], Fence] = {}
        self._busy: dict[Place, tuple[int, float]] = {}

    @property
    def reserved_usd(self) -> Decimal:
        """What this process has set aside now."""
        return usd_of(self._reserved)

    def reserve(self, request: ComparisonRequest, attempt: Attempt, /) -> Awaitable[None]:
        """See Budget."""
        fence = self._fence(request.asked.organization_id or NOBODY, attempt.target.provider)
        if not fence.limits:
            return GRANTED
        models, target = self._providers[attempt.target.provider].models, attempt.target
        most_usd = models.cost_usd(target.model, most_usage(request, attempt))
        if most_usd is None:
            self._observer.budget_refused("unpriced")
            raise unpriced(target)
        if not most_usd:
            return GRANTED
        reservation = Reservation(
            name=attempt.attempt_id.bytes, fence=fence, amount=nano_usd(most_usd)
        )
        if self._is_known_busy(reservation):
            raise self._waits()
        self._open[attempt.attempt_id] = reservation
        return _Permission(
            partial(self._conclude, attempt.attempt_id, reservation),
            self._sums.reserve(reservation, self._floors(fence)),
        )

    def settle(self, attempt: Attempt, billing: Billing | None, /) -> None:
        """See Budget."""
        reservation = self._open.pop(attempt.attempt_id, None)
        if reservation is None:
            return
        cost = 0
        if billing is not None:
            known = billing.cost_usd
            cost = reservation.amount if known is None else nano_usd(known)
        self._unshared.pop(attempt.attempt_id, None)
        if reservation.is_granted:
            self._reserved -= reservation.amount
            self._own.settle(
                reservation.fence.places,
                reservation.amount,
                cost,
                is_shared=reservation.is_shared,
            )
            for place in reservation.fence.places:
                self._busy.pop(place, None)
        self._settle_shared(reservation, cost)

    async def aclose(self) -> None:
        """Give up what is under way in the background."""
        await self._seeding.aclose()

    def _conclude(
        self, attempt_id: UUID, reservation: Reservation, answer: asyncio.Future[Any]
    ) -> Exception | None:
        """Take the answer; give why it may not be."""
        away = None if answer.cancelled() else answer.exception()
        if answer.cancelled() or attempt_id not in self._open:
            return None  # whoever asked has gone, and has settled it or will
        if away is not None:
            reservation.may_be_shared = not isinstance(away, NotAskedError)
            return self._judge_alone(attempt_id, reservation)
        word, *said = answer.result()
        if word == b"unseeded":
            self._seeding.start()
            reservation.may_be_shared = False
            return self._judge_alone(attempt_id, reservation)
        at, epoch, *sums = said
        self._join(epoch)
        if word == b"granted":
            self._grant(reservation)
            self._note_shared(reservation)
        for n, place in enumerate(reservation.fence.places):
            self._own.heard(place, sums[2 * n], sums[2 * n + 1])
        if word == b"granted":
            return None
        del self._open[attempt_id]
        return self._refuse(reservation, at - 1, is_over=word == b"over")

    def _judge_alone(self, attempt_id: UUID, reservation: Reservation) -> Exception | None:
        self._observer.budget_unshared()
        fence, share = reservation.fence, self._share()
        floors = self._floors(fence)
        rooms = [
            self._own.judge(place, limit, reservation.amount, floor, share)
            for place, limit, floor in zip(fence.places, fence.amounts, floors, strict=True)
        ]
        # Others may have left some of their share, which can be had again when Redis is back.
        spent = {Room.SPENT} if self._sums.is_shared else {Room.SPENT, Room.SHARE_SPENT}
        tight = [(room in spent, -at) for at, room in enumerate(rooms) if room is not Room.FITS]
        if tight:
            is_over, at = max(tight)
            del self._open[attempt_id]
            self._settle_shared(reservation, 0)
            return self._refuse(reservation, -at, is_over=is_over)
        self._grant(reservation)
        self._unshared[attempt_id] = reservation
        return None

    def _settle_shared(self, reservation: Reservation, cost: int) -> None:
        # Redis may have set it aside though it did not say so; else there is nothing to tell.
        if cost or reservation.may_be_shared:
            self._sums.settle(reservation, cost)

    def _grant(self, reservation: Reservation) -> None:
        reservation.is_granted = True
        self._reserved += reservation.amount
        self._own.hold(reservation.fence.places, reservation.amount)

    def _note_shared(self, reservation: Reservation) -> None:
        reservation.is_shared = reservation.may_be_shared = True
        self._own.share(reservation.fence.places, reservation.amount)

    def _refuse(self, reservation: Reservation, at: int, *, is_over: bool) -> Exception:
        if not is_over:
            until_s = self._clock.monotonic() + _BUSY_FOR_S
            self._busy[reservation.fence.places[at]] = (reservation.amount, until_s)
            return self._waits()
        self._observer.budget_refused("over")
        return over_budget(reservation.fence.limits[at], self._budgets().when_over)

    def _waits(self) -> BudgetBusyError:
        self._observer.budget_waited()
        return BudgetBusyError("the rest of the budget is set aside for other calls")

    def _is_known_busy(self, reservation: Reservation) -> bool:
        busy = [self._busy.get(place, (0, 0.0)) for place in reservation.fence.places]
        now_s = self._clock.monotonic()
        return any(0 < least <= reservation.amount and now_s < until_s for least, until_s in busy)

    def _join(self, epoch: bytes) -> None:
        """Have Redis know of every call under way: it was away, or knows nothing of before."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._own.unshare()
            for attempt_id, each in self._open.items():
                if each.is_granted:
                    each.is_shared = False
                    self._unshared[attempt_id] = each
        while self._unshared:
            _, each = self._unshared.popitem()
            self._sums.hold(each, self._floors(each.fence))
            self._note_shared(each)

    def _floors(self, fence: Fence) -> Sequence[int]:
        now_s = self._clock.monotonic()
        if now_s >= fence.floors_until_s:
            fence.floors = [nano_usd(self._spend.cost_usd(*place)) for place in fence.places]
            fence.floors_until_s = now_s + _FLOORS_FOR_S
        return fence.floors

    def _fence(self, organization: str, provider: ProviderName) -> Fence:
        budgets, day = self._budgets(), day_of(self._clock.now())
        if budgets is not self._seen or day != self._day:
            self._seen, self._day = budgets, day
            self._fences.clear()
            self._busy.clear()
            self._own.forget_all_but({day, month_of(day)})
        fence = self._fences.get((organization, provider))
        if fence is None:
            limits = tuple(budgets.hard_limits(Scope(organization, provider), day))
            fence = Fence(limits, day) if limits else _NO_LIMITS
            if len(self._fences) >= _FENCES_AT_MOST:
                self._fences.clear()
            self._fences[organization, provider] = fence
        return fence


class _Permission:
    """An answer on its way, which is taken when it comes, whether somebody waits for it or not."""

    __slots__ = ("_answer", "_conclude", "_is_concluded", "_refusal")

    def __init__(
        self,
        conclude: Callable[[asyncio.Future[Any]], Exception | None],
        answer: asyncio.Future[Any],
    ) -> None:
        self._conclude = conclude
        self._answer = answer
        self._is_concluded = False
        self._refusal: Exception | None = None
        answer.add_done_callback(self._take)

    def __await__(self) -> Generator[Any, None, None]:
        with suppress(CacheAwayError):  # judged without it
            yield from self._answer
        self._take(self._answer)
        if self._refusal is not None:
            raise self._refusal

    def _take(self, answer: asyncio.Future[Any]) -> None:
        if not self._is_concluded:
            self._refusal = self._conclude(answer)
            self._is_concluded = True
