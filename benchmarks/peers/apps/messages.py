"""What FastStream reads and writes, as models: it checks them, and documents them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from benchmarks.peers.apps.job import result_of


class Essays(BaseModel):
    """What is asked."""

    user_prompt: str
    essay_a: str
    essay_b: str


class Request(BaseModel):
    """A request on the topic, as far as it is needed."""

    correlation_id: str
    data: Essays


class Result(BaseModel):
    """What is published for it."""

    correlation_id: str
    winner: str
    justification: str
    confidence: float
    prompt_tokens: int
    completion_tokens: int


def result_from(request: Request, content: str, usage: dict[str, Any]) -> Result:
    """Give the result to publish for a request."""
    return Result(**result_of(request.correlation_id, content, usage))
