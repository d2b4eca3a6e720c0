"""Free calls to providers that nobody asks, so that an outage, or its end, is seen early."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_worker.domain.errors import ProviderError
from llm_worker.domain.outcome import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.application.ports import Provider, Telemetry
    from llm_worker.application.switchboard import Switchboard
    from llm_worker.contracts.vocabulary import ProviderName

_LIMIT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """Probes those that are idle for `interval_s`, and those with an open breaker, if enabled.

    A probe that is answered does not close a breaker, since it buys nothing: it lets the next
    request be the probe that does. One that fails, and may not the next time, counts as a failure
    of the default model.
    """

    providers: Mapping[ProviderName, Provider]
    board: Switchboard
    interval_s: float
    telemetry: Telemetry

    async def probe_all(self) -> None:
        """Probe all that are due, at once; takes 10 seconds at most."""
        troubled = {target.provider for target in self.board.breaker_states()}
        due = [
            provider
            for name, provider in self.providers.items()
            if self.board.gates[name].is_open
            and (name in troubled or self.board.is_idle(name, self.interval_s))
        ]
        await asyncio.gather(*map(self._probe, due))

    async def _probe(self, provider: Provider) -> None:
        try:
            await provider.probe(min(_LIMIT_S, provider.timeout_s))
        except ProviderError as error:
            # One that would come again, as a key without the right to list models, says nothing
            # of the calls that are paid for.
            if error.is_retryable:
                target = Target(provider=provider.name, model=provider.default_model)
                self.board.ended(target, error)
        except Exception as error:  # noqa: BLE001 - a free call must not end the worker
            self.telemetry.faulted(None, error)
        else:
            self.board.hasten(provider.name)
