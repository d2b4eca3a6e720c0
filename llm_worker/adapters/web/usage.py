"""/api/v1/usage: what was spent today and this month."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_worker.adapters.web.answers import json_answer, unavailable
from llm_worker.adapters.web.operations import reading
from llm_worker.contracts.http import UsageAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from llm_worker.adapters.web.operations import Operation


def usage_operations(report: Callable[[], Mapping[str, Any] | None]) -> list[Operation]:
    """Give what `report` knows; 503 while the totals have not been read."""

    async def usage(_request: web.Request) -> web.Response:
        body = report()
        if body is None:
            raise unavailable("the totals are being read; ask again in a moment", retry_after_s=1)
        return json_answer(HTTPStatus.OK, body)

    words = "What all workers have spent today and this month, in UTC"
    return [reading("/api/v1/usage", usage, words, {200: UsageAnswer}, faults=(503,))]
