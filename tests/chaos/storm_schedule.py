"""Which faults befall the stack, and when: drawn from a seed alone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Lane(StrEnum):
    """What is hurt. One fault of a lane at a time; the lanes run beside each other."""

    BROKERS = "brokers"
    PROCESSES = "processes"
    PROVIDERS = "providers"
    REDIS = "redis"


class Fault(StrEnum):
    """What befalls it."""

    BROKER_KILLED = "broker_killed"
    BROKER_STOPPED = "broker_stopped"
    DISK_FULL = "disk_full"
    LEADERS_MOVED = "leaders_moved"
    ACCOUNTANT_FROZEN = "accountant_frozen"
    ACCOUNTANT_KILLED = "accountant_killed"
    ROLLING_RESTART = "rolling_restart"
    SCALED = "scaled"
    WORKER_FROZEN = "worker_frozen"
    WORKER_KILLED = "worker_killed"
    PROVIDERS_FLAP = "providers_flap"
    REDIS_CUT = "redis_cut"
    REDIS_FLUSHED = "redis_flushed"
    REDIS_FULL = "redis_full"
    REDIS_KILLED = "redis_killed"
    REDIS_PAUSED = "redis_paused"
    REDIS_SLOW = "redis_slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A fault to come: `at_s` after the start, for `for_s`; `choice` picks whom it befalls."""

    at_s: float
    fault: Fault
    for_s: float
    choice: int
    behaviour: str = ""


BEHAVIOURS: Final[Mapping[str, Mapping[str, object]]] = {
    "429": {"kind": "rate_limited", "retry_after_s": 1},
    "500": {"kind": "server_error"},
    "overloaded": {"kind": "overloaded"},
    "slow": {"kind": "slow", "latency_s": 3},
    "cut": {"kind": "cut_body"},
    "reset": {"kind": "reset"},
    "no JSON": {"kind": "not_json"},
    "malformed": {"kind": "malformed_json"},
}
"""What a provider does with every call meanwhile, as its control address takes it."""

_LONGEST_S: Final[Mapping[Fault, float]] = {
    Fault.BROKER_KILLED: 60,
    Fault.BROKER_STOPPED: 15,
    Fault.DISK_FULL: 20,
    Fault.LEADERS_MOVED: 0,
    Fault.ACCOUNTANT_FROZEN: 20,
    Fault.ACCOUNTANT_KILLED: 0,
    Fault.ROLLING_RESTART: 0,
    Fault.SCALED: 20,
    Fault.WORKER_FROZEN: 20,
    Fault.WORKER_KILLED: 0,
    Fault.PROVIDERS_FLAP: 15,
    Fault.REDIS_FLUSHED: 0,
}
_DECKS: Final[Mapping[Lane, tuple[Fault, ...]]] = {
    Lane.BROKERS: (
        Fault.BROKER_KILLED,
        Fault.BROKER_STOPPED,
        Fault.DISK_FULL,
        Fault.LEADERS_MOVED,
    ),
    Lane.PROCESSES: (
        *(Fault.WORKER_KILLED, Fault.WORKER_KILLED, Fault.WORKER_KILLED),
        *(Fault.ACCOUNTANT_KILLED, Fault.ACCOUNTANT_KILLED),
        *(Fault.ACCOUNTANT_FROZEN, Fault.WORKER_FROZEN),
        *(Fault.ROLLING_RESTART, Fault.SCALED),
    ),
    Lane.PROVIDERS: (Fault.PROVIDERS_FLAP,),
    Lane.REDIS: (
        *(Fault.REDIS_CUT, Fault.REDIS_FLUSHED, Fault.REDIS_FULL),
        *(Fault.REDIS_KILLED, Fault.REDIS_PAUSED, Fault.REDIS_SLOW),
    ),
}
_OTHERWISE_S: Final = 15.0
_PAUSE_S: Final = (3.0, 9.0)
_SHORTEST_SHARE: Final = 0.5
_SPARSE_PAUSE_S: Final = 210.0
_SPARSE_AT_LEAST: Final = 8


def schedule(seed: int, *, length_s: float, nodes: int) -> tuple[Planned, ...]:
    """Draw the faults of a storm, in the order of their beginning; all end within `length_s`.

    In each lane they come from shuffled decks, so that none of a deck is left out in a storm of
    ten minutes. One broker alone has no other that could lead. In a storm of less than ten minutes
    no fault lasts longer than its share of them.
    """
    drawn = [planned for lane in Lane for planned in _lane(seed, lane, length_s, nodes)]
    return tuple(sorted(drawn, key=lambda planned: planned.at_s))


def sparse_schedule(seed: int, *, length_s: float, nodes: int) -> tuple[Planned, ...]:
    """Draw one fault every few minutes, of all that leave somebody running throughout."""
    draw = random.Random(f"{seed}/sparse")  # noqa: S311 - a seeded schedule
    pause_s = min(_SPARSE_PAUSE_S, length_s / _SPARSE_AT_LEAST)
    faults: list[Fault] = [
        fault
        for fault in Fault
        if fault not in {Fault.ROLLING_RESTART, Fault.SCALED}
        and (nodes > 1 or fault is not Fault.LEADERS_MOVED)
    ]
    found: list[Planned] = []
    at_s = pause_s
    for fault in _shuffled_for_ever(draw, faults):
        planned = _drawn(draw, fault, at_s, scale=min(1.0, length_s / 3_600))
        if at_s + planned.for_s + pause_s > length_s:
            return tuple(found)
        found.append(planned)
        at_s += planned.for_s + pause_s * draw.uniform(_SHORTEST_SHARE, 1)
    raise AssertionError("the decks have no end")


def _lane(seed: int, lane: Lane, length_s: float, nodes: int) -> Iterator[Planned]:
    draw = random.Random(f"{seed}/{lane}")  # noqa: S311 - a seeded schedule
    scale = min(1.0, length_s / 600)
    faults, at_s = _decks(draw, lane, nodes), draw.uniform(0, _PAUSE_S[1])
    for fault in faults:
        planned = _drawn(draw, fault, at_s, scale=scale)
        if at_s + planned.for_s > length_s:
            return
        yield planned
        at_s += planned.for_s + draw.uniform(*_PAUSE_S)


def _drawn(draw: random.Random, fault: Fault, at_s: float, *, scale: float) -> Planned:
    longest_s = _LONGEST_S.get(fault, _OTHERWISE_S)
    if longest_s > _OTHERWISE_S:
        longest_s = max(_OTHERWISE_S, longest_s * scale)
    return Planned(
        at_s=round(at_s, 1),
        fault=fault,
        for_s=round(longest_s * draw.uniform(_SHORTEST_SHARE, 1), 1),
        choice=draw.randrange(6),
        behaviour=draw.choice(sorted(BEHAVIOURS)) if fault is Fault.PROVIDERS_FLAP else "",
    )


def _decks(draw: random.Random, lane: Lane, nodes: int) -> Iterator[Fault]:
    deck = [fault for fault in _DECKS[lane] if nodes > 1 or fault is not Fault.LEADERS_MOVED]
    return _shuffled_for_ever(draw, deck)


def _shuffled_for_ever(draw: random.Random, deck: list[Fault]) -> Iterator[Fault]:
    while True:
        draw.shuffle(deck)
        yield from deck


def lane_of(fault: Fault) -> Lane:
    """Say what a fault hurts."""
    return next(lane for lane, deck in _DECKS.items() if fault in deck)


def by_lane(planned: Sequence[Planned]) -> dict[Lane, list[Planned]]:
    """Sort faults by what they hurt; the order stays."""
    return {lane: [each for each in planned if lane_of(each.fault) is lane] for lane in Lane}
