"""A worker process whose providers are fakes in the test's own event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.dev.fake_providers.self_hosted import SELF_HOSTED_MODEL

if TYPE_CHECKING:
    from llm_worker.dev.fake_providers import FakeProviderServer


def pointing_at(fake: FakeProviderServer, *names: ProviderName) -> dict[str, str]:
    """Give the settings of a worker that knows these providers alone, and asks the fake."""
    settings = {"LLM_WORKER_PROVIDERS__MOCK__ENABLED": "false"}
    for name in names:
        prefix = f"LLM_WORKER_PROVIDERS__{name.upper()}__"
        settings |= {f"{prefix}BASE_URL": fake.base_url(name), f"{prefix}API_KEY": f"key-{name}"}
        if name is ProviderName.SELF_HOSTED:
            settings[f"{prefix}DEFAULT_MODEL"] = SELF_HOSTED_MODEL
    return settings
