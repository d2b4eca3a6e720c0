"""A file of results, one JSON object a line, with which a stopped program goes on."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self
from uuid import UUID, uuid5

import orjson
from pydantic import ValidationError

from llm_worker.client.errors import ClientError
from llm_worker.client.submission import Submission, written
from llm_worker.contracts.result import LLMComparisonResultV1
from llm_worker.contracts.vocabulary import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from llm_worker.contracts.request import LLMComparisonRequestV1

_BEGINNING: Final = b'{"request_id":'
_NAMESPACE: Final = UUID("7b0d1f4e-5c3a-5f0e-8d1c-2a6b9e4f7c10")


class JournalError(ClientError):
    """The file cannot be written, or a line of it is no result."""


class JournalFullError(JournalError):
    """A result cannot be written down; what came before it is there."""


class Journal:
    """Keeps results as they come, and finds them again after a crash.

    A line that a crash has cut off is dropped. One program at a time.

    Entering raises `JournalError` if another line is no result, or the file cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._offsets: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._offsets)

    def find(self, event_id: UUID) -> LLMComparisonResultV1 | None:
        """Give the result of a request, None where there is none yet."""
        offset = self._offsets.get(str(event_id))
        if offset is None:
            return None
        with self._path.open("rb") as file:
            file.seek(offset)
            return LLMComparisonResultV1.from_json(file.readline())

    def keep(self, result: LLMComparisonResultV1) -> None:
        """Write a result down; the operating system has it on return.

        Raises:
            JournalFullError: It has not, and the file is as before.
        """
        line, offset = result.model_dump_json().encode() + b"\n", self._file.seek(0, 2)
        try:
            is_whole = self._file.write(line) == len(line)
        except OSError as error:
            raise JournalFullError(
                f"{self._path}: {error.strerror}; mend that and go on"
            ) from error
        if not is_whole:
            self._file.truncate(offset)
            raise JournalFullError(f"{self._path}: the disk is full; make room and go on")
        self._offsets[result.request_id] = offset

    def __enter__(self) -> Self:
        try:
            with ExitStack() as opened:
                # Unbuffered, one write a line: a crash leaves at most one half line.
                self._file = opened.enter_context(self._path.open("ab", buffering=0))
                _claim(self._file)
                with self._path.open("r+b") as file:
                    self._read(file)
                opened.pop_all()
        except BlockingIOError:
            raise JournalError(
                f"{self._path}: another program writes it; wait for that, or name another file"
            ) from None
        except OSError as error:
            raise JournalError(f"{self._path}: {error.strerror}; name another file") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def _read(self, file: IO[bytes]) -> None:
        offset = 0
        for number, line in enumerate(file, start=1):
            try:
                result = LLMComparisonResultV1.from_json(line)
            except (ValidationError, orjson.JSONDecodeError):
                if not line.endswith(b"\n") and _is_cut_off(line):
                    file.truncate(offset)
                    return
                raise JournalError(
                    f"{self._path}: line {number} is no result; name another file"
                ) from None
            self._offsets.setdefault(result.request_id, offset)
            offset += len(line)
            if not line.endswith(b"\n"):
                file.seek(offset)
                file.write(b"\n")


def _claim(file: IO[bytes]) -> None:
    """Keep a second program out: both would have the same requests answered, and write them down.

    Raises BlockingIOError where there is one. Where there are no such locks nobody is kept out.
    """
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415 - not everywhere

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # of a file system that has none


def _is_cut_off(line: bytes) -> bool:
    return line.startswith(_BEGINNING) or _BEGINNING.startswith(line)


def identified(
    requests: Iterable[Submission | LLMComparisonRequestV1], *, lane: Lane = Lane.NORMAL
) -> Iterator[Submission]:
    """Name requests that have no event id yet by their content, alike ones by their order too.

    So the same requests have the same ids in the next run, whatever their order.
    """
    seen: Counter[UUID] = Counter()
    for request in requests:
        if isinstance(request, Submission):
            yield request
            continue
        content = uuid5(_NAMESPACE, written(request).decode())
        seen[content] += 1
        yield Submission(request=request, event_id=uuid5(content, str(seen[content])), lane=lane)
