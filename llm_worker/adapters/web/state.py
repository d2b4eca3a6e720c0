"""/api/v1/state: all that the health page shows."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_worker.adapters.web.answers import json_answer
from llm_worker.adapters.web.operations import reading
from llm_worker.contracts.state import StateV1

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from llm_worker.adapters.web.operations import Operation


def state_operations(state: Callable[[], StateV1]) -> list[Operation]:
    """Tell the state; the group's workers are asked for in the background, while somebody looks."""

    async def get_state(_request: web.Request) -> web.Response:
        return json_answer(HTTPStatus.OK, state())

    words = "All that the health page shows"
    return [reading("/api/v1/state", get_state, words, {200: StateV1})]
