"""What examples/analytics_to_parquet.py promises of its spool."""

from __future__ import annotations

import asyncio
import resource
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_EXAMPLE = Path(__file__).parents[3] / "examples" / "analytics_to_parquet.py"


@pytest.fixture
def example() -> ModuleType:
    spec = spec_from_file_location("analytics_to_parquet", _EXAMPLE)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Events:
    """Gives events without end, and knows how many were asked for."""

    given = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    async def __anext__(self) -> int:
        self.given += 1
        return self.given


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """A disk of that size: the write that does not fit is a short one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_next_event_is_not_asked_for_before_the_last_one_is_wholly_on_disk(
    example: Any,  # noqa: ANN401 - a script's names
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = Events()
    monkeypatch.setattr(example, "EventReader", lambda *_, **__: events)
    monkeypatch.setattr(example, "row_of", lambda number: number)

    with files_of_at_most(5), pytest.raises(OSError, match="too large"):
        asyncio.run(example.collect("nobody:9092", "group", tmp_path, None, 500))

    assert (tmp_path / "spool.jsonl").read_bytes() == b"1\n2\n3"
    assert events.given == 3
