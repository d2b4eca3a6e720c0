"""Answers of the web server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping


def json_answer(status: int, body: Mapping[str, Any]) -> web.Response:
    """Answer with a JSON object."""
    return web.Response(
        status=status, body=orjson.dumps(body), content_type="application/json", charset="utf-8"
    )
