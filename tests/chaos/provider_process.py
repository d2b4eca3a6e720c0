"""The fake providers as a process that keeps books: a line for each answer that it bills.

Argument: the file of the books. It ends with its parent; its address is the first line it prints.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from llm_worker.dev.fake_providers.server import FakeProviderServer

if TYPE_CHECKING:
    from typing import IO

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.dev.fake_providers.behaviours import Failure, Reply
    from llm_worker.dev.fake_providers.exchange import Answer, Call, Wire

STARTED = "fake providers at "
_MARK = re.compile(r"Essay number \d+ ([0-9a-f-]{36})")


@dataclass(slots=True)
class _Billing:
    """A provider's API; every reply of a model is entered."""

    name: ProviderName
    wire: Wire
    books: IO[bytes]

    def objection(self, call: Call) -> Answer | None:
        return self.wire.objection(call)

    def look_up(self, call: Call) -> Answer:
        return self.wire.look_up(call)

    def failure(self, call: Call, failure: Failure) -> Answer:
        return self.wire.failure(call, failure)

    def reply(self, call: Call, reply: Reply) -> Answer:
        answer = self.wire.reply(call, reply)
        body = orjson.loads(answer.body)
        found = _MARK.search(orjson.dumps(call.body).decode())
        line = {
            "provider": self.name,
            "mark": found and found[1],
            "call_id": _id_of(answer, body),
            "completion_tokens": _completion_tokens(body),
        }
        self.books.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        return answer


def _id_of(answer: Answer, body: dict[str, Any]) -> str | None:
    headers = answer.headers
    return headers.get("x-request-id") or headers.get("request-id") or body.get("responseId")


def _completion_tokens(body: dict[str, Any]) -> int:
    usage = body.get("usage") or body.get("usageMetadata") or {}
    kinds = ("completion_tokens", "output_tokens", "candidatesTokenCount", "thoughtsTokenCount")
    return sum(usage.get(kind) or 0 for kind in kinds)


async def _serve(books: str) -> None:
    with open(books, "ab", buffering=0) as file:  # noqa: ASYNC230, PTH123 - once, unbuffered
        server = FakeProviderServer()
        for name, wire in server._wires.items():
            server._wires[name] = _Billing(name, wire, file)
        async with server:
            print(f"{STARTED}{server.url}", flush=True)  # noqa: T201 - its answer
            await asyncio.Event().wait()


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_serve(sys.argv[1]))
