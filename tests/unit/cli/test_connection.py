from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from llm_worker.cli.connection import prepare_for_kafka

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    logger = logging.getLogger("aiokafka")
    before = logger.propagate
    yield
    logger.propagate = before
    fetcher.MemoryRecords = MemoryRecords


def test_commands_read_what_a_stranger_wrote_and_show_no_log_of_aiokafka() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 20)
    builder.append(0, 1_000, b"key", b"value", [("@", b"1")])
    fetched = bytes(builder.build()).replace(b"@", b"\xff")

    prepare_for_kafka()
    [record] = fetcher.MemoryRecords(fetched).next_batch()

    assert record.value == b"value"
    assert not logging.getLogger("aiokafka").propagate
