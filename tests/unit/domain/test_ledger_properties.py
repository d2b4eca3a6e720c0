from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.domain.journal import Journal
from llm_worker.domain.ledger import Account, Ledger
from tests.support.spend import COSTS, DAY_MS, MORE_COSTS, placed_of
from tests.support.spend_stories import Story, expected, stories, totals_of

if TYPE_CHECKING:
    from llm_worker.domain.journal import Placed
    from llm_worker.domain.spend import AccountKey, Entry, Source


@dataclass(slots=True)
class _Process:
    """An accountant without Kafka: it may end after any part of what it publishes."""

    stories: dict[Source, Story]
    state: dict[AccountKey, Account] = field(default_factory=dict)
    committed: dict[Source, int] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=lambda: Ledger({}))
    journals: dict[Source, Journal] = field(default_factory=dict)
    read: dict[Source, int] = field(default_factory=dict)

    def start(self) -> None:
        """Begin with the state as published, and the ids below what is delivered first."""
        self.ledger = Ledger(deepcopy(self.state))
        self.read = {source: self.committed.get(source, 0) for source in self.stories}
        self.journals = {}
        for source, first in self.read.items():
            self.journals[source] = Journal(DAY_MS)
            for offset in range(first):
                self._note(source, offset)

    def take(self, source: Source, records: int) -> None:
        first = self.read[source]
        self.read[source] = min(first + records, len(self.stories[source]))
        for offset in range(first, self.read[source]):
            placed, replaced = self._note(source, offset)
            if replaced is not None:
                self.ledger.post(source, placed, replaced)

    def publish(self, keep: float = 1.0) -> bool:
        """Publish the share of the changed accounts that comes before a crash, if there is one."""
        changed = list(self.ledger.changed().items())
        for key, account in changed[: round(keep * len(changed))]:
            self.state[key] = deepcopy(account)
        self.ledger.published()
        return keep == 1

    def _note(self, source: Source, offset: int) -> tuple[Placed, tuple[Entry, ...] | None]:
        purchase, is_lost = self.stories[source][offset]
        placed = placed_of(offset, purchase.entry(is_lost=is_lost))
        return placed, self.journals[source].note(placed)


_sources = st.sampled_from([COSTS, MORE_COSTS])
_shares = st.floats(0, 1)
_commits = st.integers(0, 30)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), _sources, st.integers(1, 12)),
        st.tuples(st.just("publish"), _sources, _commits),
        st.tuples(st.just("crash"), _sources, _shares),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(st.fixed_dictionaries({COSTS: stories(), MORE_COSTS: stories()}), _steps)
def test_totals_are_the_same_whatever_is_repeated_and_wherever_it_is_interrupted(
    told: dict[Source, Story], steps: list[tuple[str, Source, float]]
) -> None:
    process = _Process(told)
    process.start()
    for what, source, amount in steps:
        match what:
            case "take":
                process.take(source, int(amount))
            case "publish":
                process.publish()
                process.committed[source] = min(
                    process.read[source], process.committed.get(source, 0) + int(amount)
                )
            case _:
                process.publish(keep=amount)
                process.start()
    for source in told:
        process.take(source, 1_000)
    process.publish()
    for source, story in told.items():
        assert totals_of(process.state, source) == expected(story)


@settings(deadline=None)
@given(stories(most=40), st.lists(st.integers(1, 9), max_size=10))
def test_totals_do_not_depend_on_how_events_are_put_into_batches(
    story: Story, sizes: list[int]
) -> None:
    process = _Process({COSTS: story})
    process.start()
    for size in (*sizes, len(story)):
        process.take(COSTS, size)
        process.publish()
    assert totals_of(process.state, COSTS) == expected(story)


@settings(deadline=None)
@given(stories(), st.data())
def test_account_tells_the_sum_of_all_events_up_to_its_last_offset(
    story: Story, data: st.DataObject
) -> None:
    process = _Process({COSTS: story})
    process.start()
    read = data.draw(st.integers(0, len(story)))
    process.take(COSTS, read)
    process.publish()
    assert totals_of(process.state, COSTS) == expected(story[:read])
    assert all(account.last_offset < read for account in process.state.values())
