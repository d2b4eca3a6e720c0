"""An OTLP receiver in the test's own event loop: it takes spans over HTTP and lets one look."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as it came, ids in hex."""

    span: Span
    resource: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def span_id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent_id(self) -> str:
        return self.span.parent_span_id.hex()

    @property
    def says(self) -> dict[str, Any]:
        return _values(self.span.attributes)

    @property
    def error(self) -> str | None:
        status = self.span.status
        return status.message if status.code == status.STATUS_CODE_ERROR else None


@dataclass(slots=True)
class OtlpReceiver:
    """Answers every export, unless it `hangs`; `bodies` are the bytes as they came."""

    hangs: bool = False
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        server = web.Server(self._take, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    @property
    def spans(self) -> list[ReceivedSpan]:
        return [
            ReceivedSpan(span, _values(group.resource.attributes))
            for body in self.bodies
            for group in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    async def until(self, is_so: Callable[[list[ReceivedSpan]], bool]) -> list[ReceivedSpan]:
        """Wait until the spans are as they should be, and give them."""
        async with asyncio.timeout(120):
            while not is_so(spans := self.spans):
                self._came.clear()
                await self._came.wait()
        return spans

    async def until_asked(self) -> None:
        """Wait until something was sent here."""
        async with asyncio.timeout(120):
            await self._came.wait()

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        assert (request.path, request.content_type) == ("/v1/traces", "application/x-protobuf")
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self._came.set()
        if self.hangs:
            await asyncio.Event().wait()
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(),
            content_type="application/x-protobuf",
        )


def _values(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf's container of KeyValue
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:  # noqa: ANN401 - what it holds
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None
