from __future__ import annotations

import errno
import io
import json
import logging
from typing import TYPE_CHECKING, Any, Literal

import pytest
import structlog
from typing_extensions import override

from llm_worker.adapters.telemetry.logging import set_log_level, setup_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOUCHED = ("aiokafka", "faust", "httpx", "mode")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # pytest's own must not be closed by the setup
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in _TOUCHED:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


class _Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


def _fail_holding(essay: str) -> None:
    raise RuntimeError(f"{len(essay)} characters")


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_own_line_is_one_json_object_with_what_is_bound() -> None:
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    with structlog.contextvars.bound_contextvars(correlation_id="c"):
        structlog.get_logger().info("request_done", lane="bulk")
    [line] = _lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request_done", "level": "info", "lane": "bulk", "correlation_id": "c",
    }  # fmt: skip


def test_line_of_the_stdlib_looks_the_same() -> None:
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    logging.getLogger("llm_worker.dev").info("started on %d", 9092, extra={"nodes": 3})
    [line] = _lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "started on 9092", "level": "info", "logger": "llm_worker.dev", "nodes": 3,
    }  # fmt: skip


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    setup_logging("WARNING", "json", stream)
    structlog.get_logger().info("a")
    logging.getLogger("llm_worker").info("b")
    structlog.get_logger().warning("c")
    assert [line["event"] for line in _lines(stream)] == ["c"]


def test_level_can_be_changed_for_loggers_that_are_in_use() -> None:
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    ours, theirs = structlog.get_logger(), logging.getLogger("llm_worker.dev")
    for level in ("DEBUG", "ERROR", "INFO"):
        set_log_level(level)
        for logger in (ours, theirs):
            for name in ("debug", "info", "error"):
                getattr(logger, name)(f"{level} {name}")
    assert [line["event"] for line in _lines(stream)] == [
        *["DEBUG debug", "DEBUG info", "DEBUG error"] * 2,
        *["ERROR error"] * 2,
        *["INFO info", "INFO error"] * 2,
    ]


def test_who_changed_what_is_told_at_every_level() -> None:
    stream = io.StringIO()
    setup_logging("CRITICAL", "json", stream)
    structlog.get_logger().info("audit", setting="log.level")
    structlog.get_logger().error("failed")
    assert [line["event"] for line in _lines(stream)] == ["audit"]


def test_libraries_that_see_records_stay_silent_when_the_level_is_lowered() -> None:
    stream = io.StringIO()
    setup_logging("ERROR", "json", stream)
    set_log_level("DEBUG")
    logging.getLogger("aiokafka.consumer.fetcher").info("send: value=%r", b"An essay.")
    assert _lines(stream) == []


def test_terminal_gets_words_and_the_rest_json() -> None:
    terminal, pipe = _Terminal(), io.StringIO()
    setup_logging("INFO", None, terminal)
    structlog.get_logger().info("request_done")
    setup_logging("INFO", None, pipe)
    structlog.get_logger().info("request_done")
    assert "request_done" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert _lines(pipe)[0]["event"] == "request_done"


def test_nothing_that_others_wrote_moves_the_cursor_of_a_terminal() -> None:
    terminal = _Terminal()
    setup_logging("INFO", "console", terminal)
    structlog.get_logger().info("delivery", model="\x1b]0;title\x07")
    logging.getLogger("aiokafka").warning("topic %s", "\x1b]0;title\x07")
    structlog.get_logger().error("fault", exc_info=RuntimeError("\x1b]0;title\x07"))
    assert "\x1b]0" not in terminal.getvalue()


@pytest.mark.parametrize("name", ["aiokafka.consumer.fetcher", "faust.topics", "mode", "httpx"])
def test_libraries_that_see_records_are_silent_below_warning(name: str) -> None:
    stream = io.StringIO()
    setup_logging("DEBUG", "json", stream)
    logging.getLogger(name).info("send: value=%r", b"An essay.")
    logging.getLogger(name).warning("broker gone")
    assert [line["event"] for line in _lines(stream)] == ["broker gone"]


def test_what_a_kafka_library_repeats_is_held_back_and_what_others_say_is_not() -> None:
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    for node in range(20):
        logging.getLogger("aiokafka.client").error("Unable to connect to node %d", node)
        logging.getLogger("llm_worker.dev").error("ours")
    events = [line["event"] for line in _lines(stream)]
    assert events.count("ours") == 20
    assert len(events) == 25


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_exception_is_told_without_local_variables(fmt: Literal["console", "json"]) -> None:
    stream = _Terminal()
    setup_logging("INFO", fmt, stream)
    try:
        _fail_holding("essay " * 3)
    except RuntimeError:
        structlog.get_logger().exception("failed")
    assert "RuntimeError: 18 characters" in stream.getvalue()
    assert "essay essay" not in stream.getvalue()


class _Full(io.StringIO):
    is_full = False

    @override
    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)

    @override
    def flush(self) -> None:
        if self.is_full:
            raise BrokenPipeError


def test_line_that_cannot_be_written_is_lost_and_nothing_else() -> None:
    stream = _Full()
    setup_logging("INFO", "json", stream)
    stream.is_full = True
    structlog.get_logger().info("lost")
    logging.getLogger("llm_worker.dev").error("lost")
    stream.is_full = False
    structlog.get_logger().info("kept")
    assert [line["event"] for line in _lines(stream)] == ["kept"]


@pytest.mark.parametrize("odd", ["\ud800", 2**70, {1: "a"}, object()])
def test_value_that_is_no_json_does_not_lose_the_line(odd: object) -> None:
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    structlog.get_logger().info("odd", value=odd)
    assert _lines(stream)[0]["event"] == "odd"
