"""How every target stands: circuit breakers, limits, latencies. Asked before, told after a call."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Final

from llm_worker.application.bell import Bell
from llm_worker.application.gate import Gate
from llm_worker.application.ordering import Ordering, remember
from llm_worker.application.scoreboard import Score
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.breaker import BreakerState, CircuitBreaker
from llm_worker.domain.errors import ProviderError, RateLimitedError
from llm_worker.domain.outcome import BreakerMove
from llm_worker.domain.provider_view import BreakerView, ProviderView
from llm_worker.domain.pursuit import Hindrance, Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence
    from datetime import datetime

    from llm_worker.application.gate import Limits
    from llm_worker.application.ports import Clock, Provider, Telemetry
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.outcome import FinishedAttempt, Target
    from llm_worker.domain.routing import Route
    from llm_worker.domain.verdict import Completion

_PROBE_LOOK_S: Final = 5.0
"""How long to wait before looking again at a target whose probe is under way."""
_OFF: Final = Readiness(float("inf"), Hindrance.OFF)
_READY: Final = Readiness(float("-inf"))
_BUSY: Final = Readiness(float("-inf"), Hindrance.BUSY)


@dataclass(slots=True)
class _Trouble:
    """A target that has failed since its last success; whoever has none is well."""

    breaker: CircuitBreaker
    since: datetime


@dataclass(slots=True, kw_only=True)
class Switchboard:
    """The targets' state in this process; `new_breaker` makes a closed circuit breaker."""

    providers: Mapping[ProviderName, Provider]
    limits: InitVar[Mapping[ProviderName, Limits]]
    weights: InitVar[Mapping[ProviderName, float]]
    new_breaker: Callable[[], CircuitBreaker]
    clock: Clock
    telemetry: Telemetry
    bell: Bell = field(default_factory=Bell)
    gates: dict[ProviderName, Gate] = field(init=False)
    scores: dict[ProviderName, Score] = field(init=False)
    _troubles: dict[Target, _Trouble] = field(default_factory=dict)
    _ordering: Ordering = field(init=False)

    def __post_init__(
        self,
        limits: Mapping[ProviderName, Limits],
        weights: Mapping[ProviderName, float],
    ) -> None:
        self.gates = {name: Gate(limits=limits[name], clock=self.clock) for name in self.providers}
        self.scores = {name: Score() for name in self.providers}
        self._ordering = Ordering(providers=self.providers, weights=weights, clock=self.clock)

    @property
    def breakers(self) -> list[CircuitBreaker]:
        """The circuit breakers in use; `new_breaker` makes the others when they are needed."""
        return [trouble.breaker for trouble in self._troubles.values()]

    def in_order(self, route: Route, prompt_bytes: int) -> Sequence[Target]:
        """Order a route's targets by its strategy, by how they stand now."""
        return self._ordering.in_order(route, prompt_bytes)

    def adopt(
        self, limits: Mapping[ProviderName, Limits], enabled: Container[ProviderName]
    ) -> None:
        """Let so many calls go from now on, and none to a provider that is not enabled."""
        for name, gate in self.gates.items():
            gate.resize(limits[name].max_in_flight)
            gate.switch(is_open=name in enabled)
        self.bell.ring()

    def readiness(self, target: Target, lane: Lane) -> Readiness:
        """Say from when the target may be tried."""
        gate, now_s = self.gates[target.provider], self.clock.monotonic()
        if not gate.is_open:
            return _OFF
        trouble = self._troubles.get(target)
        if trouble is not None and trouble.breaker.state is not BreakerState.CLOSED:
            due_in_s = trouble.breaker.probe_due_in_s(now_s)
            if trouble.breaker.state is BreakerState.HALF_OPEN:
                due_in_s = _PROBE_LOOK_S
            if due_in_s > 0:
                return Readiness(now_s + due_in_s, Hindrance.OPEN)
        if gate.paused_until_s > now_s:
            return Readiness(gate.paused_until_s, Hindrance.LIMITED)
        if not gate.is_free(lane):
            return _BUSY
        return _READY

    def admits(self, target: Target) -> bool:
        """Say whether the target may be called now, be it as the probe of an open breaker."""
        gate = self.gates[target.provider]
        if not gate.is_open or gate.paused_until_s > self.clock.monotonic():
            return False
        trouble = self._troubles.get(target)
        if trouble is None:
            return True
        if not trouble.breaker.allows(self.clock.monotonic()):
            return False
        if trouble.breaker.state is BreakerState.HALF_OPEN:
            gate.turn_away()
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
        return self._ordering.expected_s(target)

    def scored(self, finished: FinishedAttempt) -> None:
        """Take an attempt into the provider's record."""
        now_s = self.clock.monotonic()
        target, seconds = finished.attempt.target, finished.response_time_ms / 1000
        self.scores[target.provider].note(finished, now_s)
        if not isinstance(finished.ending, ProviderError):
            self._ordering.measured(target, seconds)

    def hasten(self, name: ProviderName) -> None:
        """Let the provider's open breakers be probed at once: it shows a sign of life."""
        for target, trouble in self._troubles.items():
            if target.provider is name:
                trouble.breaker.hasten()
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
            enabled=gate.is_open,
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
            requests_per_minute=gate.minute.requests.per_minute,
            requests_left=gate.minute.requests.level(now_s),
            tokens_per_minute=gate.minute.tokens.per_minute,
            tokens_left=gate.minute.tokens.level(now_s),
            paused_s=max(0.0, gate.paused_until_s - now_s),
        )

    def _failed(self, target: Target, *, is_probe: bool) -> BreakerMove | None:
        trouble = self._troubles.get(target)
        if trouble is None:
            trouble = _Trouble(self.new_breaker(), self.clock.now())
            remember(self._troubles, target, trouble)
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
            trouble.breaker.hasten()
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
