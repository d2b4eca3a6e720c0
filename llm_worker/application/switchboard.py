"""How every target stands: circuit breakers, limits, latencies. Asked before, told after a call."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from llm_worker.application.bell import Bell
from llm_worker.application.gate import Gate
from llm_worker.application.scoreboard import Latency, Score
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.breaker import BreakerState, CircuitBreaker
from llm_worker.domain.errors import ProviderError, RateLimitedError
from llm_worker.domain.judging import expected_usage
from llm_worker.domain.outcome import BreakerMove
from llm_worker.domain.provider_view import BreakerView, ProviderView
from llm_worker.domain.pursuit import Hindrance, Readiness
from llm_worker.domain.strategies import Candidate, Strategy, ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from llm_worker.application.gate import Limits
    from llm_worker.application.ports import Clock, Provider, Telemetry
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.outcome import FinishedAttempt, Target
    from llm_worker.domain.routing import Route
    from llm_worker.domain.verdict import Completion, Usage

_LATENCY_STALE_S: Final = 60.0
_PROBE_LOOK_S: Final = 5.0
"""How long to wait before looking again at a target whose probe is under way."""
_REMEMBERED_AT_MOST: Final = 1_000
"""Targets: requests may name models without end where a provider takes any."""
_READY: Final = Readiness(float("-inf"))
_BUSY: Final = Readiness(float("-inf"), Hindrance.BUSY)
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Trouble:
    """A target that has failed since its last success; whoever has none is well."""

    breaker: CircuitBreaker
    since: datetime


@dataclass(slots=True, kw_only=True)
class Switchboard:
    """The targets' state in this process.

    `new_breaker` makes a closed circuit breaker, `dice` gives a number from 0 up to 1.
    """

    providers: Mapping[ProviderName, Provider]
    limits: Mapping[ProviderName, Limits]
    weights: Mapping[ProviderName, float]
    new_breaker: Callable[[], CircuitBreaker]
    clock: Clock
    telemetry: Telemetry
    dice: Callable[[], float] = random.random
    bell: Bell = field(default_factory=Bell)
    gates: dict[ProviderName, Gate] = field(init=False)
    scores: dict[ProviderName, Score] = field(init=False)
    _troubles: dict[Target, _Trouble] = field(default_factory=dict)
    _latencies: dict[Target, Latency] = field(default_factory=dict)
    _looked_at_s: dict[Target, float] = field(default_factory=dict)
    _turns: Counter[tuple[Target, ...]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.gates = {
            name: Gate(limits=self.limits[name], clock=self.clock) for name in self.providers
        }
        self.scores = {name: Score() for name in self.providers}

    def in_order(self, route: Route, prompt_bytes: int) -> Sequence[Target]:
        """Order a route's targets by its strategy, by how they stand now."""
        if len(route.targets) == 1 or route.strategy is Strategy.PRIORITY:
            return route.targets
        now_s = self.clock.monotonic()
        usage, strategy = expected_usage(prompt_bytes), route.strategy
        candidates = [self._candidate(each, strategy, usage, now_s) for each in route.targets]
        turn = self._turns[route.targets]
        _remember(self._turns, route.targets, turn + 1)
        targets = ordered(strategy, candidates, turn=turn, dice=self.dice)
        if strategy is Strategy.LEAST_LATENCY:
            # Whoever comes next shall not go there, too, only because nothing is measured yet.
            _remember(self._looked_at_s, targets[0], now_s)
        return targets

    def readiness(self, target: Target, lane: Lane) -> Readiness:
        """Say from when the target may be tried."""
        now_s = self.clock.monotonic()
        trouble = self._troubles.get(target)
        if trouble is not None and trouble.breaker.state is not BreakerState.CLOSED:
            due_in_s = trouble.breaker.probe_due_in_s(now_s)
            if trouble.breaker.state is BreakerState.HALF_OPEN:
                due_in_s = _PROBE_LOOK_S
            if due_in_s > 0:
                return Readiness(now_s + due_in_s, Hindrance.OPEN)
        gate = self.gates[target.provider]
        if gate.paused_until_s > now_s:
            return Readiness(gate.paused_until_s, Hindrance.LIMITED)
        if not gate.is_free(lane):
            return _BUSY
        return _READY

    def admits(self, target: Target) -> bool:
        """Say whether the target may be called now, be it as the probe of an open breaker."""
        if self.gates[target.provider].paused_until_s > self.clock.monotonic():
            return False
        trouble = self._troubles.get(target)
        if trouble is None:
            return True
        if not trouble.breaker.allows(self.clock.monotonic()):
            return False
        if trouble.breaker.state is BreakerState.HALF_OPEN:
            self.gates[target.provider].turn_away()
            self._moved(target, trouble)
        return True

    def is_probing(self, target: Target) -> bool:
        """Say whether the call that was just admitted is the probe."""
        trouble = self._troubles.get(target)
        return trouble is not None and trouble.breaker.state is BreakerState.HALF_OPEN

    def abandoned(self, target: Target) -> None:
        """Note that an admitted call was not made, or ended without telling anything."""
        trouble = self._troubles.get(target)
        if trouble is not None:
            trouble.breaker.abandon()
            self.bell.ring()

    def ended(
        self, target: Target, ending: Completion | ProviderError, *, is_probe: bool = False
    ) -> BreakerMove | None:
        """Note how a call ended; say whether it opened or closed the target's breaker."""
        gate = self.gates[target.provider]
        if isinstance(ending, ProviderError):
            if isinstance(ending, RateLimitedError) or ending.retry_after_s is not None:
                gate.pause(ending.retry_after_s)
            if ending.trips_breaker:
                return self._failed(target, is_probe=is_probe)
            # It answered, so it is there, whatever it thinks of this one request.
            return self._succeeded(target, is_probe=True) if is_probe else None
        gate.speed_up()
        return self._succeeded(target, is_probe=is_probe)

    def expected_s(self, target: Target) -> float:
        """Give how long the target took lately; 0 where nobody knows."""
        latency = self._latencies.get(target)
        return latency.average_s if latency else 0.0

    def scored(self, finished: FinishedAttempt) -> None:
        """Take an attempt into the provider's record."""
        now_s = self.clock.monotonic()
        target, seconds = finished.attempt.target, finished.response_time_ms / 1000
        self.scores[target.provider].note(finished, now_s)
        if not isinstance(finished.ending, ProviderError):
            latency = self._latencies.get(target) or Latency(seconds, now_s)
            latency.add(seconds, now_s)
            _remember(self._latencies, target, latency)

    def hasten(self, name: ProviderName) -> None:
        """Let the provider's open breakers be probed at once: it shows a sign of life."""
        for target, trouble in self._troubles.items():
            if target.provider is name:
                trouble.breaker.hasten(self.clock.monotonic())
        self.bell.ring()

    def is_idle(self, name: ProviderName, for_s: float) -> bool:
        """Say whether nothing was asked of the provider for so long."""
        return self.clock.monotonic() - self.scores[name].last_attempt_s >= for_s

    def breaker_states(self) -> dict[Target, BreakerState]:
        """Give the breakers that are not closed."""
        states = {target: trouble.breaker.state for target, trouble in self._troubles.items()}
        return {t: state for t, state in states.items() if state is not BreakerState.CLOSED}

    def let_go(self) -> None:
        """Send away all who wait for a limit or a breaker, and every later one."""
        self.bell.let_go()
        for gate in self.gates.values():
            gate.let_go()

    def reopen(self) -> None:
        """Take waiters again."""
        self.bell.reopen()
        for gate in self.gates.values():
            gate.reopen()

    def view(self, name: ProviderName) -> ProviderView:
        """Describe a provider as it stands now."""
        provider, gate, score = self.providers[name], self.gates[name], self.scores[name]
        now_s = self.clock.monotonic()
        breakers = {
            target.model: BreakerView(state=state, since=self._troubles[target].since)
            for target, state in self.breaker_states().items()
            if target.provider is name
        }
        own = breakers.get(provider.default_model)
        return ProviderView(
            name=name,
            enabled=True,
            configured=True,
            default_model=provider.default_model,
            breaker=own.state if own else BreakerState.CLOSED,
            breakers=breakers,
            attempts=score.attempts,
            failures=score.failures,
            success_rate=score.success_rate(),
            last_success=score.last_success,
            last_failure=score.last_failure,
            last_error=score.last_error,
            average_response_ms=score.average_ms(),
            p50_response_ms=score.response_ms(0.5),
            p95_response_ms=score.response_ms(0.95),
            in_flight=sum(map(gate.slots.running, Lane)),
            waiting=sum(map(gate.waiting, Lane)),
            allowed=gate.allowed,
            max_in_flight=gate.limits.max_in_flight,
            requests_per_minute=gate.requests.per_minute,
            requests_left=gate.requests.level(now_s),
            tokens_per_minute=gate.tokens.per_minute,
            tokens_left=gate.tokens.level(now_s),
            paused_s=max(0.0, gate.paused_until_s - now_s),
        )

    def _candidate(
        self, target: Target, strategy: Strategy, usage: Usage, now_s: float
    ) -> Candidate:
        cost_usd = latency_s = None
        is_stale = False
        if strategy is Strategy.LEAST_COST:
            cost_usd = self.providers[target.provider].models.cost_usd(target.model, usage)
        elif strategy is Strategy.LEAST_LATENCY:
            latency = self._latencies.get(target)
            latency_s = latency.average_s if latency else None
            measured_at_s = latency.measured_at_s if latency else float("-inf")
            looked_at_s = self._looked_at_s.get(target, float("-inf"))
            is_stale = now_s - max(measured_at_s, looked_at_s) > _LATENCY_STALE_S
        return Candidate(
            target=target,
            weight=self.weights.get(target.provider, 1.0),
            cost_usd=cost_usd,
            latency_s=latency_s,
            latency_is_stale=is_stale,
        )

    def _failed(self, target: Target, *, is_probe: bool) -> BreakerMove | None:
        trouble = self._troubles.get(target)
        if trouble is None:
            trouble = _Trouble(self.new_breaker(), self.clock.now())
            _remember(self._troubles, target, trouble)
        is_late = trouble.breaker.state is BreakerState.HALF_OPEN and not is_probe
        if is_late or not trouble.breaker.fail(self.clock.monotonic()):
            return None
        self.gates[target.provider].slow_down()
        self.gates[target.provider].turn_away()
        self._moved(target, trouble)
        return BreakerMove.OPENED

    def _succeeded(self, target: Target, *, is_probe: bool) -> BreakerMove | None:
        trouble = self._troubles.get(target)
        if trouble is None:
            return None
        if trouble.breaker.state is not BreakerState.CLOSED and not is_probe:
            # It went before the breaker opened: a sign of life, but only a probe closes it.
            trouble.breaker.hasten(self.clock.monotonic())
            self.bell.ring()
            return None
        del self._troubles[target]
        if not trouble.breaker.succeed():
            return None
        self._moved(target, trouble)
        return BreakerMove.CLOSED

    def _moved(self, target: Target, trouble: _Trouble) -> None:
        trouble.since = self.clock.now()
        self.telemetry.breaker_moved(target, trouble.breaker.state)
        self.bell.ring()


def _remember(known: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Set a value; the key that was new the longest ago makes room."""
    if key not in known and len(known) >= _REMEMBERED_AT_MOST:
        del known[next(iter(known))]
    known[key] = value
