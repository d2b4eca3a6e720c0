from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from llm_worker.adapters.kafka.spend_codec import read_account
from llm_worker.contracts.vocabulary import ProviderName, TopicName
from llm_worker.domain.budgets import Allowance, Budgets
from llm_worker.domain.ledger import Account
from llm_worker.domain.spend import EVERYTHING, AccountKey, Scope, Source
from llm_worker.domain.spend_events import state_event
from tests.support.accountant import Accountant, FakeTopics
from tests.support.builders import NOW
from tests.support.fakes import ManualClock
from tests.support.spend import (
    CELL,
    COSTS,
    DAY,
    MORE_COSTS,
    REQUESTS,
    completion_value,
    cost_of,
    uid,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.application.ports import Refusal, Sending
    from llm_worker.domain.delivery import Record

_SCHOOL = Scope(organization="school")


@pytest.fixture
def topics() -> FakeTopics:
    return FakeTopics()


def _limited(*, daily: str | None = None, monthly: str | None = None) -> Budgets:
    allowance = Allowance(
        daily_usd=None if daily is None else Decimal(daily),
        monthly_usd=None if monthly is None else Decimal(monthly),
        alert_shares=(Decimal(1),),
    )
    return Budgets(overall=allowance)


async def _account(
    topics: FakeTopics, scope: Scope = EVERYTHING, period: str = DAY, source: Source = COSTS
) -> Account:
    return (await topics.accounts())[AccountKey(scope, period, source)]


async def test_batch_is_added_up_and_its_totals_are_published(topics: FakeTopics) -> None:
    topics.append(cost_of(usd=0.1, token_usage={"total_tokens": 5}))
    topics.append(cost_of(usd=0.2, token_usage={"total_tokens": 7}))
    assert await Accountant(topics).accounting.book(topics.pulled())
    for scope in (CELL, EVERYTHING, Scope(provider=ProviderName.OPENAI), _SCHOOL):
        for period in (DAY, "2026-11"):
            account = await _account(topics, scope, period)
            assert account.cost_usd == Decimal("0.3")
            assert account.tokens == {"total_tokens": 12}
            assert account.last_offset == 1


async def test_each_changed_account_is_published_once_a_batch(topics: FakeTopics) -> None:
    for _ in range(100):
        topics.append(cost_of())
    await Accountant(topics).accounting.book(topics.pulled())
    assert len(topics.of(TopicName.SPEND_STATE)) == 8


async def test_requests_are_counted_beside_what_their_attempts_cost(topics: FakeTopics) -> None:
    topics.append(cost_of())
    topics.append(completion_value(), REQUESTS)
    topics.append(completion_value(success=False), REQUESTS)
    records = [*topics.pulled(), *topics.pulled(source=REQUESTS)]
    await Accountant(topics).accounting.book(records)
    told = await _account(topics, source=REQUESTS)
    assert (told.requests, told.failures, told.cost_usd) == (2, 1, Decimal(0))
    assert (await _account(topics)).requests == 0


async def test_event_that_stands_there_twice_is_counted_once(topics: FakeTopics) -> None:
    for _ in range(2):
        topics.append(cost_of(uid(1), usd=0.1))
    accountant = Accountant(topics)
    await accountant.accounting.book(topics.pulled(0, 1))
    await accountant.accounting.book(topics.pulled(1))
    assert (await _account(topics)).cost_usd == Decimal("0.1")
    assert accountant.telemetry.batches == [(1, 0), (1, 1)]


async def test_event_repeated_after_a_rebalance_is_known_by_what_lies_before(
    topics: FakeTopics,
) -> None:
    for _ in range(2):
        topics.append(cost_of(uid(1), usd=0.1))
    await Accountant(topics).accounting.book(topics.pulled(0, 1))
    heir = Accountant(topics, committed={COSTS: 1})
    await heir.accounting.book(topics.pulled(1, generation=2))
    assert (await _account(topics)).cost_usd == Decimal("0.1")


async def test_event_repeated_is_known_also_when_the_commit_is_not(topics: FakeTopics) -> None:
    for _ in range(2):
        topics.append(cost_of(uid(1), usd=0.1))
    await Accountant(topics).accounting.book(topics.pulled(0, 1))
    heir = Accountant(topics, committed={})
    await heir.accounting.book(topics.pulled(1, generation=2))
    assert (await _account(topics)).cost_usd == Decimal("0.1")


async def test_lost_attempt_whose_cost_is_told_later_is_no_longer_unknown(
    topics: FakeTopics,
) -> None:
    topics.append(cost_of(uid(1), at="2026-11-22T23:59:59.999999Z", usd=None, outcome="unknown"))
    topics.append(cost_of(uid(1), at="2026-11-23T00:00:00Z", usd=0.1))
    accountant = Accountant(topics)
    await accountant.accounting.book(topics.pulled(0, 1))
    assert (await _account(topics, period="2026-11-22")).unknown_costs == 1
    await accountant.accounting.book(topics.pulled(1))
    assert (await _account(topics, period="2026-11-22")).unknown_costs == 0
    assert (await _account(topics, period=DAY)).cost_usd == Decimal("0.1")
    month = await _account(topics, period="2026-11")
    assert (month.unknown_costs, month.cost_usd) == (0, Decimal("0.1"))


async def test_jumping_clock_changes_no_total(topics: FakeTopics) -> None:
    for at in ("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"):
        topics.append(cost_of(at=at))
    for number, year in enumerate((1999, 2099)):
        clock = ManualClock(datetime(year, 6, 1, tzinfo=UTC))
        accountant = Accountant(topics, clock=clock, committed={COSTS: number})
        await accountant.accounting.book(topics.pulled(number, number + 1))
    for period in ("2026-12-31", "2026-12", "2027-01-01", "2027-01"):
        assert (await _account(topics, period=period)).cost_usd == Decimal("0.01")
    assert {key.period[:4] for key in await topics.accounts()} == {"2026", "2027"}


async def test_unreadable_event_is_set_aside_with_its_bytes_and_the_rest_is_added_up(
    topics: FakeTopics,
) -> None:
    values = [b"\xff", None, cost_of(), b"{}", cost_of()]
    for value in values:
        topics.append(value)
    accountant = Accountant(topics)
    assert await accountant.accounting.book(topics.pulled())
    letters = topics.of(TopicName.DEAD_LETTER)
    assert [letter.value for letter in letters] == [b"\xff", None, b"{}"]
    assert [letter.key for letter in letters] == [b"key"] * 3
    headers = [dict(letter.headers) for letter in letters]
    assert [header["dlq.offset"] for header in headers] == [b"0", b"1", b"3"]
    assert {header["trace"] for header in headers} == {b"t"}
    assert (await _account(topics)).cost_usd == Decimal("0.02")
    assert [record.offset for record in accountant.telemetry.set_aside] == [0, 1, 3]


async def test_record_that_comes_twice_in_a_generation_is_set_aside_once(
    topics: FakeTopics,
) -> None:
    for value in (b"unreadable", cost_of()):
        topics.append(value)
    accountant = Accountant(topics)
    for _ in range(2):
        await accountant.accounting.book(topics.pulled())
    assert len(topics.of(TopicName.DEAD_LETTER)) == 1
    assert accountant.telemetry.batches == [(2, 0), (2, 2)]


async def test_nothing_is_published_when_ownership_is_lost(topics: FakeTopics) -> None:
    topics.append(cost_of(usd=50))
    topics.append(b"unreadable")
    accountant = Accountant(topics, budgets=_limited(daily="1"), is_ours=False)
    assert not await accountant.accounting.book(topics.pulled())
    assert not topics.held
    assert accountant.accounting.books is None


async def test_what_was_added_up_without_ownership_is_not_published_later(
    topics: FakeTopics,
) -> None:
    for _ in range(2):
        topics.append(cost_of(usd=0.1))
    accountant = Accountant(topics, is_ours=False)
    await accountant.accounting.book(topics.pulled(0, 1))
    accountant.is_ours = True
    await accountant.accounting.book(topics.pulled(0, 2, generation=2))
    assert (await _account(topics)).cost_usd == Decimal("0.2")


async def test_each_generation_reads_the_state_once(topics: FakeTopics) -> None:
    topics.append(cost_of())
    accountant = Accountant(topics)
    for generation in (1, 1, 2):
        await accountant.accounting.book(topics.pulled(generation=generation))
    assert accountant.telemetry.openings == [(0, 0), (8, 0)]


_ALL = AccountKey(EVERYTHING, DAY, COSTS)
_STALE = Account(cost_usd=Decimal("0.1"), last_offset=0)


def _newest(topics: FakeTopics) -> Account | None:
    """What the topic keeps of the account of all."""
    told = [read_account(each.key, each.value) for each in topics.of(TopicName.SPEND_STATE)]
    return [account for key, account in filter(None, told) if key == _ALL][-1]


async def test_another_processs_stale_total_is_published_over(topics: FakeTopics) -> None:
    for _ in range(2):
        topics.append(cost_of(usd=0.1))
    heir = Accountant(topics)
    await heir.accounting.book(topics.pulled())
    topics.held.append(_rendered(heir, _ALL, _STALE))
    heir.hear()
    await heir.accounting.review(1)
    assert heir.telemetry.put_right == [_ALL]
    assert (await _account(topics)) == _newest(topics)
    heir.hear()
    held = len(topics.held)
    await heir.accounting.review(1)
    assert len(topics.held) == held


@pytest.mark.parametrize("is_more_to_come", [False, True])
async def test_stale_total_that_nobody_put_right_is_put_right_by_whoever_comes_next(
    topics: FakeTopics, *, is_more_to_come: bool
) -> None:
    for _ in range(2):
        topics.append(cost_of(usd=0.1))
    await Accountant(topics).accounting.book(topics.pulled())
    next_one = Accountant(topics)
    topics.held.append(_rendered(next_one, _ALL, _STALE))
    next_one.hear()
    if is_more_to_come:
        topics.append(cost_of(usd=0.1))
        await next_one.accounting.book(topics.pulled(2))
    await next_one.accounting.review(1)
    newest = _newest(topics)
    assert newest is not None
    assert newest.cost_usd == Decimal("0.3" if is_more_to_come else "0.2")


async def test_stale_total_of_anothers_partition_is_left_to_its_owner(topics: FakeTopics) -> None:
    for source in (COSTS, MORE_COSTS):
        for _ in range(2):
            topics.append(cost_of(), source)
    await Accountant(topics).accounting.book(topics.pulled())
    other = Accountant(topics, committed={MORE_COSTS: 0})
    topics.held.append(_rendered(other, _ALL, _STALE))
    other.hear()
    await other.accounting.book(topics.pulled(source=MORE_COSTS))
    assert not other.telemetry.put_right


@pytest.mark.parametrize("last_offset", [1, 7])
async def test_totals_that_include_as_much_are_left_alone(
    topics: FakeTopics, last_offset: int
) -> None:
    for _ in range(2):
        topics.append(cost_of())
    heir = Accountant(topics)
    await heir.accounting.book(topics.pulled())
    topics.held.append(_rendered(heir, _ALL, Account(last_offset=last_offset)))
    heir.hear()
    await heir.accounting.review(1)
    assert not heir.telemetry.put_right


async def test_totals_of_topics_that_were_made_anew_are_not_put_right_for_ever(
    topics: FakeTopics,
) -> None:
    topics.append(cost_of())
    accountant = Accountant(topics)
    topics.held.append(_rendered(accountant, _ALL, Account(last_offset=7)))
    accountant.hear()
    topics.held.clear()
    accountant.heard = 0
    await accountant.accounting.book(topics.pulled())
    accountant.hear()
    await accountant.accounting.review(1)
    assert not accountant.telemetry.put_right


async def test_total_that_is_overwritten_while_ours_are_on_their_way_is_published_again() -> None:
    class Interrupting(FakeTopics):
        @override
        async def confirm(self, sendings: Sequence[Sending]) -> list[Refusal | None]:
            refusals = await super().confirm(sendings)
            if sendings and not heir.view.overwritten:
                self.held.append(_rendered(heir, _ALL, _STALE))
                heir.hear()
            return refusals

    topics = Interrupting()
    for _ in range(2):
        topics.append(cost_of())
    heir = Accountant(topics)
    await heir.accounting.book(topics.pulled())
    await heir.accounting.review(1)
    assert heir.telemetry.put_right == [_ALL]
    assert (await _account(topics)) == _newest(topics)


def _rendered(accountant: Accountant, key: AccountKey, account: Account) -> Record:
    return accountant.accounting.reader.render(state_event(key, account, NOW, "zombie"))


async def test_state_that_is_gone_is_added_up_again_from_the_events(topics: FakeTopics) -> None:
    for usd in (0.4, None, 0.5):
        topics.append(cost_of(usd=usd))
    first = Accountant(topics, budgets=_limited(daily="0.8"))
    assert await first.accounting.book(topics.pulled())
    before = await topics.accounts()
    topics.held = topics.of(TopicName.COST_ALERT)
    again = Accountant(topics, budgets=_limited(daily="0.8"), committed={COSTS: 3})
    await again.accounting.review(1)
    after = await topics.accounts()
    assert {key: each.cost_usd for key, each in after.items()} == {
        key: each.cost_usd for key, each in before.items()
    }
    assert (await _account(topics)).unknown_costs == 1
    assert len(topics.of(TopicName.COST_ALERT)) == 1


@pytest.mark.parametrize("usd", ["1e9999999", "1e999999", "1e-999999"])
async def test_cost_that_nobody_can_add_up_is_set_aside(topics: FakeTopics, usd: str) -> None:
    topics.append(cost_of(cost_estimate_usd=usd))
    topics.append(cost_of(usd=0.25))
    accountant = Accountant(topics)
    assert await accountant.accounting.book(topics.pulled())
    assert len(accountant.telemetry.set_aside) == 1
    assert (await _account(topics)).cost_usd == Decimal("0.25")


async def test_review_publishes_nothing_when_ownership_is_lost(topics: FakeTopics) -> None:
    topics.append(completion_value(), REQUESTS)
    accountant = Accountant(topics, is_ours=False)
    accountant.clock.advance(120)
    await accountant.accounting.review(1)
    assert topics.held == []
