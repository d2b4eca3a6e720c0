from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from llm_worker.adapters.kafka.header_names import read_any_header_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAND_IN, _ODD = "@name@", b"\xff\xc0 na\xfe"


@pytest.fixture(autouse=True)
def _readable() -> Iterator[None]:
    before = fetcher.MemoryRecords
    read_any_header_name()
    yield
    fetcher.MemoryRecords = before


def _batch(*names: str, compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, 0, 1 << 20)
    for offset, name in enumerate(names):
        builder.append(offset, 1_000, b"key", b"value %d" % offset, [(name, b"1"), ("b", None)])
    return bytes(builder.build()).replace(_STAND_IN.encode(), _ODD)


def test_aiokafka_cannot_read_such_a_record() -> None:
    """Once it can, this whole module may go."""
    batch = MemoryRecords(_batch(_STAND_IN)).next_batch()
    with pytest.raises(UnicodeDecodeError):
        list(batch)


def test_record_with_a_header_name_that_is_no_utf8_is_read_like_its_neighbours() -> None:
    fetched = fetcher.MemoryRecords(_batch("a", _STAND_IN, "c") + _batch("d"))
    odd, sound = fetched.next_batch(), fetched.next_batch()
    records = list(odd)
    assert [record.offset for record in records] == [0, 1, 2]
    assert [record.value for record in records] == [b"value 0", b"value 1", b"value 2"]
    assert [record.headers[0] for record in records] == [
        ("a", b"1"),
        (r"\xff\xc0 na\xfe", b"1"),
        ("c", b"1"),
    ]
    assert all(record.headers[1] == ("b", None) for record in records)
    assert (odd.next_offset, odd.is_control_batch) == (3, False)
    assert [record.headers[0][0] for record in sound] == ["d"]
    assert not fetched.has_next()


def test_sound_batch_is_read_as_aiokafka_reads_it() -> None:
    encoded = _batch("a", "ä", compression=1)
    ours, theirs = fetcher.MemoryRecords(encoded), MemoryRecords(encoded)
    facts = [
        [(each.offset, each.timestamp, each.key, each.value, each.headers) for each in read]
        for read in (ours.next_batch(), theirs.next_batch())
    ]
    assert facts[0] == facts[1]
