"""/api/v1/usage: what was spent today and this month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from llm_worker.adapters.web.answers import json_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def usage_routes(report: Callable[[], Mapping[str, Any] | None]) -> list[web.RouteDef]:
    """Routes for an aiohttp application; 503 while the totals have not been read."""

    async def usage(_request: web.Request) -> web.Response:
        body = report()
        if body is None:
            return json_answer(503, {"error": "the totals are being read; ask again in a moment"})
        return json_answer(200, body)

    return [web.get("/api/v1/usage", usage)]
