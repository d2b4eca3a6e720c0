"""Structured logs on one stream: structlog's own, and what libraries log through the stdlib."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

import orjson
import structlog
from structlog.processors import NAME_TO_LEVEL

from llm_worker.adapters.telemetry.repeats import CalmHandler
from llm_worker.domain.printable import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, ExcInfo, Processor

# Below WARNING they log records, and a record holds essays; it would also be most of our CPU.
# The last is what Faust and mode log in the name of our subclasses.
_FOREIGN = ("aiokafka", "faust", "httpx", "mode", "llm_worker.adapters.kafka")


_AUDIT: Final = "audit"


@dataclass(slots=True)
class _LoudEnough:
    """Drops a line whose level is below `number`, but none that tells who changed what."""

    number: int = logging.INFO

    def __call__(self, _logger: object, method: str, event: EventDict) -> EventDict:
        if NAME_TO_LEVEL[method] < self.number and event["event"] != _AUDIT:
            raise structlog.DropEvent
        return event


_LOUD_ENOUGH: Final = _LoudEnough()


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class _Forgiving:
    """A stream that loses what it cannot take: a full disk, a reader that is gone.

    A line lost is better than the verdict or the ack of whoever logs it.
    """

    stream: TextIO

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self.stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.stream.flush()


def setup_logging(
    level: str, fmt: Literal["json", "console"] | None = None, stream: TextIO | None = None
) -> None:
    """Send every log line of this process to one stream, and nowhere else.

    Args:
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL; libraries that see records stay at
            WARNING or above.
        fmt: Without it JSON, unless the stream is a terminal.
        stream: Without it stderr.
    """
    stream = stream or sys.stderr
    render: list[Processor] = (
        _console(stream) if (fmt or _fitting(stream)) == "console" else _json()
    )
    forgiving = cast("TextIO", _Forgiving(stream))
    structlog.configure(
        # By the processor and not by a class of loggers, which each logger keeps for ever.
        processors=[_LOUD_ENOUGH, *_facts(), *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=structlog.WriteLoggerFactory(forgiving),
        cache_logger_on_first_use=True,
    )
    _route_stdlib(render, forgiving)
    set_log_level(level)


def set_log_level(level: str) -> None:
    """Log from this level up, as `setup_logging` takes it, from now on."""
    number = logging.getLevelNamesMapping()[level]
    _LOUD_ENOUGH.number = number
    logging.getLogger().setLevel(number)
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def _fitting(stream: TextIO) -> Literal["json", "console"]:
    return "console" if stream.isatty() else "json"


def _facts() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _console(stream: TextIO) -> list[Processor]:
    # The default traceback shows local variables, and one of them may be an essay.
    # And what others wrote could move the cursor, wherever it stands.
    return [
        _without_control,
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=_plain_traceback, repr_native_str=True
        ),
    ]


def _without_control(_logger: object, _method: str, event: EventDict) -> EventDict:
    event["event"] = printable(str(event.get("event", "")))
    return event


def _plain_traceback(stream: TextIO, error: ExcInfo) -> None:
    told = StringIO()
    structlog.dev.plain_traceback(told, error)
    stream.write(printable_lines(told.getvalue()) + "\n")


def _json() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _to_json(event: dict[str, Any], default: Callable[[Any], Any]) -> str:
    try:
        return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate or an integer beyond 64 bits must not lose the line
        return json.dumps(event, default=default, skipkeys=True)


def _route_stdlib(render: list[Processor], stream: TextIO) -> None:
    handler = CalmHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *_facts(),
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], force=True)
    for name in _FOREIGN:
        logging.getLogger(name).propagate = True  # a command that tells of faults itself ends that
