"""Header names that are no UTF-8: Kafka's brokers take them, and aiokafka stumbles over them.

One such record would end every process that gets its partition, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator


def read_any_header_name() -> None:
    r"""Let every consumer of this process read such names, with their odd bytes as `\xff`."""
    fetcher.MemoryRecords = _Records


class _Records(_MemoryRecordsPy):  # type: ignore[misc] # aiokafka has no types
    """What a fetch brought, batch by batch."""

    @override
    def next_batch(self, *bounds: Any) -> Any:
        encoded = self._next_slice
        batch = super().next_batch(*bounds)
        return _Batch(batch, encoded) if isinstance(batch, DefaultRecordBatch) else batch


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch whose records aiokafka reads in C; in Python where it cannot."""

    batch: Any
    encoded: memoryview

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a batch has
        return getattr(self.batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter([*self.batch])
        except (CorruptRecordException, UnicodeDecodeError):
            batch = iter(_DefaultRecordBatchPy(self.encoded))
            batch._buffer = _Decodable(batch._buffer)  # noqa: SLF001 - no public face
            return iter(batch)


class _Decodable(bytearray):
    """Bytes of which any part can be decoded."""

    @override
    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        part = super().__getitem__(at)
        return _Decodable(part) if isinstance(at, slice) else part

    @override
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")
