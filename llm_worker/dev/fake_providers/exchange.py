"""A call to a fake provider, and what it sends back."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.dev.fake_providers.behaviours import Failure, Reply

BAD_KEY = "bad-key"
"""The one key that is wrong; any other that is not empty is right."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request. `path` follows the provider's base; `body` is None where it is no JSON."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # looked up without regard to case
    body: Any

    def bearer(self) -> str:
        """Return the key of the Authorization header; empty if there is none."""
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @classmethod
    def of(cls, status: int, body: object, headers: Mapping[str, str]) -> Answer:
        """Make one with a JSON body."""
        return cls(
            status=status,
            body=orjson.dumps(body),
            headers={"Content-Type": "application/json", **headers},
        )


class Wire(Protocol):
    """How one provider's API speaks."""

    def objection(self, call: Call) -> Answer | None:
        """Say what the API finds wrong with the call; None: nothing."""

    def look_up(self, call: Call) -> Answer:
        """Answer a GET."""

    def reply(self, call: Call, reply: Reply) -> Answer:
        """Render a reply to a call without objections."""

    def failure(self, call: Call, failure: Failure) -> Answer:
        """Render a failure."""


def next_id(prefix: str) -> str:
    """Return an id that was not given before."""
    return f"{prefix}{next(_numbers):024x}"
