from __future__ import annotations

import io
import logging

from llm_worker.adapters.telemetry.repeats import CalmHandler, RepeatLimit, Template

_LINE = Template("aiokafka.cluster", "Unable to connect to %s")
_OTHER_TEXT = Template("aiokafka.cluster", "Topic %s not found")
_OTHER_LOGGER = Template("aiokafka.conn", "Unable to connect to %s")


def test_first_lines_pass_and_the_rest_is_held_back() -> None:
    limit = RepeatLimit(burst=2, window_s=30)
    assert [limit.admits(_LINE, now=n) for n in range(4)] == [True, True, False, False]


def test_each_logger_and_each_template_has_its_own_count() -> None:
    limit = RepeatLimit(burst=1, window_s=30)
    assert limit.admits(_LINE, now=0)
    assert limit.admits(_OTHER_TEXT, now=0)
    assert limit.admits(_OTHER_LOGGER, now=0)
    assert not limit.admits(_LINE, now=0)


def test_end_of_the_window_tells_what_was_held_back_once() -> None:
    limit = RepeatLimit(burst=2, window_s=30)
    for _ in range(5):
        limit.admits(_LINE, now=10)
    limit.admits(_OTHER_TEXT, now=11)
    assert limit.turn(now=39.9) == {}
    assert limit.turn(now=40) == {_LINE: 3}
    assert limit.turn(now=100) == {}


def test_new_window_lets_lines_through_again() -> None:
    limit = RepeatLimit(burst=1, window_s=30)
    limit.admits(_LINE, now=0)
    limit.turn(now=30)
    assert limit.admits(_LINE, now=30)
    assert not limit.admits(_LINE, now=59)
    assert limit.turn(now=59) == {}
    assert limit.turn(now=60) == {_LINE: 1}


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _line(logger: str, text: str) -> logging.LogRecord:
    return logging.LogRecord(logger, logging.ERROR, "", 0, text, (1,), None)


def test_handler_says_how_much_it_held_back_when_anybody_logs_after_the_window() -> None:
    stream, clock = io.StringIO(), _Clock()
    handler = CalmHandler(stream, clock)
    for _ in range(8):
        handler.emit(_line("aiokafka.conn", "node %d: 100%% gone"))
    clock.now = 31.0
    handler.emit(_line("llm_worker", "%d later"))
    assert stream.getvalue().splitlines() == [
        *["node 1: 100% gone"] * 5,
        "suppressed 3 similar: node %d: 100%% gone",
        "1 later",
    ]


def test_handler_holds_back_the_libraries_that_repeat_and_nobody_else() -> None:
    stream = io.StringIO()
    handler = CalmHandler(stream, _Clock())
    repeating = ("mode.worker", "faust", "aiokafka.client", "opentelemetry.sdk")
    for logger in ("llm_worker", "modern", *repeating):
        for _ in range(7):
            handler.emit(_line(logger, logger + " %d"))
    lines = stream.getvalue().splitlines()
    counts = [lines.count(f"{name} 1") for name in ("llm_worker", "modern", "mode.worker")]
    assert counts == [7, 7, 5]
    assert len(lines) == 7 + 7 + 5 * len(repeating)
