"""docs/contracts.md, written from the models, topics.yaml and the golden records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from llm_worker.contracts.documents.annotations import annotated
from llm_worker.contracts.documents.examples import ORIGINAL, load_examples
from llm_worker.contracts.documents.fields import rows_of
from llm_worker.contracts.documents.flows import FLOWS
from llm_worker.contracts.documents.schemas import ENVELOPE, EVENTS, schema_of
from llm_worker.contracts.headers import DeadLetterHeaders, EventHeaders
from llm_worker.contracts.topics import load_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.contracts.documents.compatibility import Schema
    from llm_worker.contracts.documents.fields import FieldRow
    from llm_worker.contracts.envelope import WireModel
    from llm_worker.contracts.topics import Topic
    from llm_worker.contracts.vocabulary import TopicName

_MS_PER_DAY: Final = 86_400_000
_LONGEST_EXAMPLE: Final = 60

_HEAD: Final = """\
# What travels on Kafka?

Every topic, key, header and event. Which events a request leads to, under which ids, and when:
[events.md](events.md). For programs: [schemas/asyncapi.yaml](../schemas/asyncapi.yaml) (AsyncAPI
3.0), the JSON Schemas in [schemas/](../schemas), the topics in [topics.yaml](../topics.yaml). This
page is generated from the same models.

- Values are UTF-8 JSON: an envelope, with the event as `data`. Keys and headers are UTF-8 text.
- Readers ignore fields they do not know. Within a version fields are only added, with a default;
  a breaking change is a new topic and schema, `.v2`, beside the old ones.
- Times are UTC; a time without an offset is taken as UTC.
- Delivery is at least once: what comes again has the same `event_id`.
- Topic names are the defaults; an installation may put a prefix before all of them.
- The providers are a closed list for consumers in the field; `self_hosted` appears only where an
  operator has enabled it.

## Check your own records

`llm-worker contract verify` reads the newest records of the request and result topics and holds
each to this page: its envelope, event, key and headers. It says per fault where the record is and
which field it is, never an essay. With `--file` it reads JSON Lines instead, and needs no broker.
`contract examples` prints golden records in that form ([schemas/examples/](../schemas/examples)):
feed them to your reader, and compare them with what you write.

```sh
llm-worker contract examples --event LLMComparisonRequestV1 > golden.jsonl
llm-worker contract verify --file golden.jsonl
```

## Topics

| topic | key | event | written by | read by | partitions | kept |
|---|---|---|---|---|---|---|
"""

_BELOW_TOPICS: Final = """
The worker writes requests that came over HTTP. A request that names a `callback_topic` is answered
there.
"""


def contracts_page() -> str:
    """Render the page."""
    topics = load_topics()
    return "".join(
        (
            _HEAD,
            *(_topic_row(name, topic) for name, topic in topics.topics.items()),
            _BELOW_TOPICS,
            "\n## Headers\n\n",
            _table(_schema(EventHeaders)),
            "\n## The envelope\n\n",
            _table(_without_data(schema_of(ENVELOPE))),
            *(part for name in EVENTS for part in _event(name)),
            *_dead_letters(),
        )
    )


def _topic_row(name: TopicName, topic: Topic) -> str:
    flow = FLOWS[name]
    event = "as it came" if topic.event == ORIGINAL else _link(topic.event)
    kept = "newest per key" if topic.cleanup == "compact" else _days(topic.retention_ms)
    who = f"{', '.join(flow.writers)} | {', '.join(flow.readers)}"
    return f"| `{topic.name}` | {topic.key} | {event} | {who} | {topic.partitions} | {kept} |\n"


def _event(name: str) -> Iterator[str]:
    schema = schema_of(name)
    topics = {n: topic for n, topic in load_topics().topics.items() if topic.event == name}
    yield f"\n## {name}\n\n{schema['description']}\n\n"
    for topic_name, topic in topics.items():
        yield f"- `{topic.name}`, key: {topic.key}. {FLOWS[topic_name].summary}\n"
    yield f"\nSchema: [{name}.json](../schemas/{name}.json).\n\n"
    yield _table(schema)
    yield _example(name)


def _dead_letters() -> Iterator[str]:
    yield (
        "\n## Dead letters\n\nThe record as it came, with its own headers and these beside them "
        "([events.md](events.md#dead-letters)):\n\n"
    )
    yield _table(_schema(DeadLetterHeaders))
    yield _example(ORIGINAL)


def _table(schema: Schema) -> str:
    head = (
        "| field | type | required | unit, range | meaning | example |\n|---|---|---|---|---|---|\n"
    )
    return head + "".join(map(_row, rows_of(schema)))


def _row(row: FieldRow) -> str:
    values = ", ".join(f"`{value}`" for value in row.values)
    ranges = ", ".join(filter(None, (row.unit, *map(_cell, row.limits), values)))
    required = "yes" if row.is_required else "no"
    meaning, example = _cell(row.meaning), _cell(_shown(row.example))
    return f"| `{row.path}` | {row.type} | {required} | {ranges} | {meaning} | {example} |\n"


def _example(event: str) -> str:
    first, *others = [example for example in load_examples() if example.event == event]
    record = {part: first.document[part] for part in ("key", "headers", "value")}
    text = json.dumps(record, indent=2, ensure_ascii=False)
    more = ", ".join(f"[{each.name}](../schemas/examples/{each.name}.json)" for each in others)
    also = f"\nMore: {more}.\n" if more else ""
    return f"\n{first.document['summary']}\n\n```json\n{text}\n```\n{also}"


def _schema(headers: type[WireModel]) -> Schema:
    is_dead_letter = headers is DeadLetterHeaders
    shown = next(
        example.document["headers"]
        for example in load_examples()
        if (example.event == ORIGINAL) is is_dead_letter
    )
    return annotated(headers.model_json_schema(), [shown])


def _without_data(envelope: Schema) -> Schema:
    """Leave the example of `data` out: every event below has its own."""
    data = {k: value for k, value in envelope["properties"]["data"].items() if k != "examples"}
    return envelope | {"properties": envelope["properties"] | {"data": data}}


def _shown(example: object) -> str:
    text = "" if example is None else json.dumps(example, ensure_ascii=False)
    if len(text) <= _LONGEST_EXAMPLE:
        return text and f"`{text}`"
    return f"`{text[:_LONGEST_EXAMPLE]}…`" if isinstance(example, str) else "see below"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _days(retention_ms: int) -> str:
    return "for ever" if retention_ms < 0 else f"{retention_ms // _MS_PER_DAY} days"


def _link(event: str) -> str:
    return f"[{event}](#{event.lower()})"
