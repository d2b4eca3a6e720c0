"""Spans by OpenTelemetry, sent by OTLP over HTTP. Imported only where they are wanted."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import uuid4

import structlog
from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import SpanKind, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from llm_worker import __version__
from llm_worker.adapters.telemetry.span_facts import (
    attempt_facts,
    call_facts,
    consume_facts,
    ending_facts,
    lookup_facts,
    operation_of,
    publish_facts,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from opentelemetry.trace import Span

    from llm_worker.adapters.telemetry.span_facts import Facts, Servers
    from llm_worker.application.purchases import Joined
    from llm_worker.application.tracing import Arrived
    from llm_worker.domain.delivery import Record
    from llm_worker.domain.outcome import Attempt, Ending, FinishedAttempt
    from llm_worker.domain.request import ComparisonRequest

T = TypeVar("T")

_CLOSING_S: Final = 5.0
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_log = structlog.get_logger(__name__)


def otlp_tracing(*, environment: str, group: str, servers: Servers) -> OtelTracing:
    """Make spans for whom the standard OTEL_* variables name.

    The SDK reads them: endpoint and headers, sampler, batches, resource attributes. A thread that
    sends starts at once.
    """
    own = {
        "service.name": "llm-worker",
        "service.version": __version__,
        "service.instance.id": str(uuid4()),
        "deployment.environment.name": environment,
    }
    # What the operator says of the resource comes before what we say.
    resource = Resource.create(own | dict(OTELResourceDetector().detect().attributes))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracing(provider, group=group, servers=servers)


class OtelTracing:
    """One span for each delivery, and below it one for each look-up, attempt and publication.

    A delivery that is not sampled costs the sampler's decision at most and goes on as without
    tracing: the caller's trace context is handed on as it came. The records of a sampled one carry
    the context of its first span, since outcomes are written down before they are published.
    """

    def __init__(
        self,
        provider: TracerProvider,
        *,
        group: str,
        servers: Servers,
        closing_s: float = _CLOSING_S,
    ) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("llm_worker", __version__)
        self._group = group
        self._servers = servers
        self._closing_s = closing_s
        self._follows_callers = isinstance(provider.sampler, ParentBased)

    def consuming(
        self, arrived: Arrived, handle: Callable[[Arrived], Awaitable[Ending]]
    ) -> Awaitable[Ending]:
        """Handle what arrived, in the caller's trace or in a new one."""
        if self._follows_callers and _is_unsampled(arrived.trace):
            return handle(arrived)  # as the sampler would say, at a tenth of its cost
        span = self._tracer.start_span(
            f"consume {arrived.delivery.topic}",
            context=_PROPAGATOR.extract(arrived.trace),
            kind=SpanKind.CONSUMER,
        )
        if not span.is_recording():
            return handle(arrived)
        # Now, not above: no sampler that the variables can name looks at them.
        span.set_attributes(consume_facts(arrived, self._group))
        return self._consume(span, arrived, handle)

    def looking_up(self, lookup: Awaitable[Joined]) -> Awaitable[Joined]:
        """Ask the cache, or wait for another's purchase."""
        return self._look_up(lookup) if _is_traced() else lookup

    def attempting(
        self, request: ComparisonRequest, attempt: Attempt, call: Awaitable[FinishedAttempt]
    ) -> Awaitable[FinishedAttempt]:
        """Call a provider, which is told nothing of the trace."""
        return self._attempt(request, attempt, call) if _is_traced() else call

    def publishing(self, records: Sequence[Record], publish: Awaitable[T]) -> Awaitable[T]:
        """Publish records."""
        return self._publish(records, publish) if _is_traced() else publish

    async def aclose(self) -> None:
        """Send what is left of the spans, for some seconds at most."""
        await asyncio.to_thread(self._close)

    async def _consume(
        self, span: Span, arrived: Arrived, handle: Callable[[Arrived], Awaitable[Ending]]
    ) -> Ending:
        context = set_span_in_context(span)
        trace: dict[str, str] = {}
        _PROPAGATOR.inject(trace, context)
        token = attach(context)
        try:
            with _until_its_end(span):
                ending = await handle(replace(arrived, trace=trace))
                _tell(span, lambda: ending_facts(ending))
                return ending
        finally:
            detach(token)

    async def _look_up(self, lookup: Awaitable[Joined]) -> Joined:
        span = self._tracer.start_span("cache")
        with _until_its_end(span):
            joined = await lookup
            _tell(span, lambda: lookup_facts(joined))
            return joined

    async def _attempt(
        self, request: ComparisonRequest, attempt: Attempt, call: Awaitable[FinishedAttempt]
    ) -> FinishedAttempt:
        span = self._tracer.start_span(
            f"{operation_of(attempt)} {attempt.target.model}",
            kind=SpanKind.CLIENT,
            attributes=attempt_facts(attempt, self._servers),
        )
        with _until_its_end(span):
            finished = await call
            _tell(span, lambda: call_facts(request, finished))
            return finished

    async def _publish(self, records: Sequence[Record], publish: Awaitable[T]) -> T:
        facts = publish_facts(records)
        name = " ".join(["publish", str(facts.get("messaging.destination.name", ""))]).strip()
        span = self._tracer.start_span(name, kind=SpanKind.PRODUCER, attributes=facts)
        with _until_its_end(span):
            return await publish

    def _close(self) -> None:
        # The SDK would wait for 30 s, and a thread that is no daemon for as long as it likes.
        closing = Thread(target=self._provider.shutdown, name="tracing-closes", daemon=True)
        closing.start()
        closing.join(self._closing_s)
        if closing.is_alive():
            _log.warning("spans_lost", why="the receiver did not take the last ones in time")


def _is_unsampled(trace: dict[str, str]) -> bool:
    """Whether there is a caller's context, and its last bit says that it is not sampled."""
    return trace.get("traceparent", "1")[-1] in "02468ace"


def _is_traced() -> bool:
    return get_current_span().is_recording()


@contextmanager
def _until_its_end(span: Span) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        _fail(span, type(error).__name__)
        raise
    finally:
        span.end()


def _tell(span: Span, what: Callable[[], tuple[Facts, str | None]]) -> None:
    """Put facts onto a span; a defect of ours takes nobody's paid verdict away."""
    try:
        facts, code = what()
        span.set_attributes(facts)
    except Exception as error:  # noqa: BLE001 - see above
        _log.error("fault", exc_info=error)
        return
    if code is not None:
        _fail(span, code)


def _fail(span: Span, code: str) -> None:
    """Mark a span as failed, by the code alone: an error's words may quote an essay."""
    span.set_attribute("error.type", code)
    span.set_status(StatusCode.ERROR, code)
