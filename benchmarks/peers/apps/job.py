"""What a peer is told to do, and the steps that are the same for all of them."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerJob:
    """Read one topic from its start, ask for a verdict on each request, write it to another.

    `call` is the body of the call that our worker makes for one such request, as JSON. `over`
    names the HTTP library below the client: httpx or aiohttp.
    """

    bootstrap_servers: str
    group: str
    requests: str
    results: str
    in_flight: int
    base_url: str
    api_key: str
    call: str
    over: str = "httpx"

    @classmethod
    def from_command_line(cls) -> Self:
        """Read the file that the command line names."""
        return cls(**orjson.loads(Path(sys.argv[1]).read_bytes()))

    def write(self, path: Path) -> None:
        """Write the file that `from_command_line` reads."""
        path.write_bytes(orjson.dumps(asdict(self)))

    def call_about(self, essays: dict[str, Any]) -> dict[str, Any]:
        """Give the body of a call about two essays."""
        asked: dict[str, Any] = orjson.loads(self.call)
        asked["messages"][-1]["content"] = (
            f"{essays['user_prompt']}\n\n"
            f"Essay A:\n{essays['essay_a']}\n\nEssay B:\n{essays['essay_b']}"
        )
        return asked


def result_of(correlation_id: str, content: str, usage: dict[str, Any]) -> dict[str, Any]:
    """Give the result to publish: the verdict that an answer's text holds, and its tokens."""
    verdict = orjson.loads(content)
    return {
        "correlation_id": correlation_id,
        "winner": verdict["winner"],
        "justification": verdict["justification"],
        "confidence": verdict["confidence"],
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
    }
