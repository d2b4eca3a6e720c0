"""What a topic holds, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.contracts.vocabulary import TopicName


async def records(
    bench: Bench, topics: TopicCatalog, name: TopicName
) -> dict[bytes, tuple[int, bytes]]:
    """Read a whole topic: timestamps (ms) and values by key, the first of each."""
    found: dict[bytes, tuple[int, bytes]] = {}
    reader = AIOKafkaConsumer(bootstrap_servers=bench.bootstrap_servers)
    async with reader:
        tps = [TopicPartition(topics.on_broker(name), n) for n in range(topics[name].partitions)]
        ends = await reader.end_offsets(tps)
        reader.assign(tps)
        await reader.seek_to_beginning(*tps)
        for tp in tps:
            while await reader.position(tp) < ends[tp]:
                for record in (await reader.getmany(tp, timeout_ms=100)).get(tp, ()):
                    found.setdefault(record.key, (record.timestamp, record.value))
    return found
