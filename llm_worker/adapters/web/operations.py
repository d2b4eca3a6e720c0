"""What can be asked over HTTP: each operation once, for the routes and for /api/openapi.json."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from pydantic import BaseModel

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Key(StrEnum):
    """Which key an operation wants."""

    API = "api"
    """Only where the server says so: LLM_WORKER_WEB__API_KEY."""
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    `answers` are what it answers, by status: a model of JSON, or a media type. `faults` are the
    statuses that come with an ErrorAnswer. `parameters` are those of OpenAPI.
    """

    method: str
    path: str
    handle: Handler
    summary: str
    answers: Mapping[int, type[BaseModel] | str]
    faults: tuple[int, ...] = ()
    body: type[BaseModel] | None = None
    is_body_optional: bool = False
    parameters: tuple[Mapping[str, Any], ...] = ()
    key: Key | None = None


def reading(
    path: str,
    handle: Handler,
    summary: str,
    answers: Mapping[int, type[BaseModel] | str],
    *,
    faults: tuple[int, ...] = (),
) -> Operation:
    """Make an operation that anybody may ask for, and that changes nothing."""
    return Operation(
        method="GET", path=path, handle=handle, summary=summary, answers=answers, faults=faults
    )


def routes_of(operations: Iterable[Operation]) -> list[web.RouteDef]:
    """Give the routes for an aiohttp application."""
    return [web.route(each.method, each.path, each.handle) for each in operations]
