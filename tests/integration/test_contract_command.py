"""`llm-worker contract verify` on a broker."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from click.testing import CliRunner

from llm_worker import bootstrap
from llm_worker.cli.app import cli
from llm_worker.client.publishing import writer
from llm_worker.contracts.documents.examples import load_examples
from llm_worker.contracts.record_lines import read_record
from tests.support.environment import forget_settings

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from llm_worker.contracts.record_lines import WireRecord
    from llm_worker.dev.kafka import EmbeddedKafka

_PREFIX = f"{uuid4().hex}."
_RESULTS = f"{_PREFIX}huleedu.llm_provider.comparison_result.v1"


@pytest.fixture(autouse=True)
def _settings(kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("LLM_WORKER_KAFKA__TOPIC_PREFIX", _PREFIX)


def _verify(*words: str) -> Result:
    return CliRunner().invoke(cli, ["contract", "verify", *words])


def _golden(*events: str) -> list[WireRecord]:
    return [
        read_record(json.dumps(example.document))
        for example in load_examples()
        if not events or example.event in events
    ]


async def _publish(*records: WireRecord, partition: int | None = None) -> None:
    options = bootstrap.kafka_options(bootstrap.load_settings())
    topics = {f"{_PREFIX}{record.topic}" for record in records}
    async with writer(options, topics) as producer:
        for record in records:
            await producer.send_and_wait(
                f"{_PREFIX}{record.topic}",
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=partition,
            )


def test_what_a_neighbour_has_written_is_held_to_the_contract() -> None:
    missing = _verify()
    assert missing.exit_code == 1
    assert missing.stdout.count("missing: run `llm-worker topics create`") == 3

    assert CliRunner().invoke(cli, ["topics", "create", "--replication", "1"]).exit_code == 0
    asyncio.run(_publish(*_golden()))
    every = list(bootstrap.catalog(bootstrap.load_settings()).topics)
    sound = _verify(*every, "--json")
    report = json.loads(sound.stdout)
    assert (sound.exit_code, report["faults"]) == (0, [])
    assert report["records"] == len(load_examples())

    [result, *_] = _golden("LLMComparisonResultV1")
    essay = b'{"event_id": "Nobody may read this.", "data": {}}'
    bad = type(result)(topic=result.topic, key=result.key, value=essay, headers=())
    asyncio.run(_publish(bad, partition=5))
    refused = _verify("comparison_result")
    assert refused.exit_code == 1
    [table_head, row, *faults] = refused.stdout.splitlines()
    assert table_head.split() == ["topic", "partitions", "records", "faults"]
    assert row.split()[:3] == [_RESULTS, "12", "4"]
    assert any(line.startswith(f"{_RESULTS}/5/") and "  event_id: " in line for line in faults)
    assert "Nobody" not in refused.output

    newest = json.loads(_verify(_RESULTS, "--records", "1", "--json").stdout)
    assert newest["records"] == 1
    assert {fault["partition"] for fault in newest["faults"]} == {5}
    assert _verify("comparison_result", "--records", "0").exit_code == 0


def test_a_topic_that_is_not_there_is_named() -> None:
    result = _verify("huleedu.nobody.v1")

    assert result.exit_code == 1
    assert "huleedu.nobody.v1" in result.stderr
