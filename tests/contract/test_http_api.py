"""The HTTP API against its own OpenAPI document, with whatever can be thought of."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from llm_worker.adapters.web.openapi import openapi_document
from tests.support.site import ADMIN_KEY, FakeSite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case

_CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve the site from a thread, since schemathesis asks like anybody else."""
    loop = asyncio.new_event_loop()

    async def start() -> tuple[web.AppRunner, str]:
        runner = web.AppRunner(FakeSite().application())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return runner, f"http://{host}:{port}"

    runner, url = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield url
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


schema = schemathesis.openapi.from_dict(openapi_document(FakeSite().operations(), "1.2.3"))


@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_its_document_says(case: Case[Any], url: str) -> None:
    case.call_and_validate(base_url=url, headers={"X-API-Key": ADMIN_KEY}, checks=_CHECKS)
