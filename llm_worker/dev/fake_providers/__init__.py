"""A server that speaks each provider's wire format and does what it is told: for tests and `dev`.

In a test, in the same event loop:

    async with FakeProviderServer() as fake:
        openai = fake.provider(ProviderName.OPENAI)
        openai.next(RateLimited(retry_after_s=20), Verdict(winner=Winner.A, confidence=0.9))
        openai.always(Overloaded())            # whenever nothing is queued
        openai.latency_s = 0.05
        ...                                    # a client calls fake.base_url(ProviderName.OPENAI)
        await openai.until_calls(3)            # waits, without sleeping
        assert openai.seen[-1].body["model"] == "gpt-6-luna"
        assert openai.max_in_flight == 1

As a child process, for a worker that is one, too: `process.FakeProviders`. By hand:

    python -m llm_worker.dev.fake_providers --port 8900
    curl localhost:8900/_control/openai -d '{"always": {"kind": "overloaded"}, "latency_ms": 50}'
    curl localhost:8900/_control/openai -d '{"next": [{"kind": "refusal"}, {"kind": "hang"}]}'
    curl localhost:8900/_control

Any key but `bad-key` is right. A request that breaks the API's own rules is answered with the
API's own error, whatever the script says, and uses up nothing of the script. It shares no code
with the adapters' wire formats, so that one cannot hide the other's error; what the official SDKs
read from it is tested in tests/integration/test_fake_providers.py.
"""

from __future__ import annotations

from llm_worker.dev.fake_providers.behaviours import (
    AuthFailed,
    BadRequest,
    CloseWithoutAnswer,
    ContextTooLong,
    CutBody,
    EmptyAnswer,
    ErrorIn200,
    Hang,
    MalformedJson,
    MissingUsage,
    NotJson,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    Redirect,
    Refusal,
    Reset,
    SafetyStop,
    ServerError,
    Slow,
    Timeout504,
    Truncated,
    Unfinished,
    Verdict,
)
from llm_worker.dev.fake_providers.provider import FakeProvider, Limits
from llm_worker.dev.fake_providers.server import FakeProviderServer

__all__ = [
    "AuthFailed",
    "BadRequest",
    "CloseWithoutAnswer",
    "ContextTooLong",
    "CutBody",
    "EmptyAnswer",
    "ErrorIn200",
    "FakeProvider",
    "FakeProviderServer",
    "Hang",
    "Limits",
    "MalformedJson",
    "MissingUsage",
    "NotJson",
    "Overloaded",
    "PermissionDenied",
    "QuotaExhausted",
    "RateLimited",
    "Redirect",
    "Refusal",
    "Reset",
    "SafetyStop",
    "ServerError",
    "Slow",
    "Timeout504",
    "Truncated",
    "Unfinished",
    "Verdict",
]
