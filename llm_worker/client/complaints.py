"""What went wrong with a connection: aiokafka logs it, and raises only that there is none."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGER: Final = logging.getLogger("aiokafka")


@contextmanager
def overheard() -> Iterator[list[Exception]]:
    """Give the errors that aiokafka logs meanwhile in the task that we are in."""
    complaints = _Complaints()
    _LOGGER.addHandler(complaints)
    try:
        yield complaints.errors
    finally:
        _LOGGER.removeHandler(complaints)


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[Exception] = []
        self._task = _current_task()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        last = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        if isinstance(last, Exception) and _current_task() is self._task:
            self.errors.append(last)


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs
        return None
