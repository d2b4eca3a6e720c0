"""Steer the fake providers over HTTP, from another process or by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.dev.fake_providers.behaviours import Behaviour
from llm_worker.dev.fake_providers.exchange import Answer
from llm_worker.dev.fake_providers.provider import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.dev.fake_providers.provider import FakeProvider

CONTROL_PATH = "/_control"


class Control(BaseModel):
    """What to change; what is left out stays. `reset` comes first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reset: bool = False
    always: Behaviour | None = None
    next: list[Behaviour] = []
    latency_ms: float | None = Field(default=None, ge=0)
    limits: Limits | None = None

    def apply(self, provider: FakeProvider) -> None:
        """Change the provider."""
        if self.reset:
            provider.reset()
        if self.always is not None:
            provider.always(self.always)
        provider.next(*self.next)
        if self.latency_ms is not None:
            provider.latency_s = self.latency_ms / 1000
        if self.limits is not None:
            provider.limits = self.limits


def control(
    method: str, path: str, body: bytes, providers: Mapping[ProviderName, FakeProvider]
) -> Answer:
    """Answer a call to `/_control` (all of them) or `/_control/{provider}`."""
    name = path.removeprefix(CONTROL_PATH).strip("/")
    if name and name not in providers:
        return Answer.of(
            404, {"error": f"no provider {name!r}; there is {', '.join(providers)}"}, {}
        )
    chosen = [providers[ProviderName(name)]] if name else list(providers.values())
    if method == "POST":
        try:
            change = Control.model_validate_json(body)
        except ValidationError as error:
            return Answer.of(400, {"error": str(error)}, {})
        for provider in chosen:
            change.apply(provider)
    state = {provider.name.value: _state(provider) for provider in chosen}
    return Answer.of(200, state[name] if name else state, {})


def _state(provider: FakeProvider) -> dict[str, Any]:
    return {
        "calls": provider.calls,
        "lookups": provider.lookups,
        "in_flight": provider.in_flight,
        "max_in_flight": provider.max_in_flight,
        "statuses": {str(status): count for status, count in provider.statuses.items()},
        "queued": [behaviour.kind for behaviour in provider.queued],
        "always": provider.standing.model_dump(mode="json", exclude_defaults=True)
        | {"kind": provider.standing.kind},
        "latency_ms": provider.latency_s * 1000,
        "limits": provider.limits.model_dump(),
    }
