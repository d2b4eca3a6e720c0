"""Records for the request topics: valid ones, and whatever somebody may send instead."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from llm_worker.contracts.documents.examples import load_examples
from tests.hostile.mutation import Mutator
from tests.hostile.planted import KEY, TEXT

if TYPE_CHECKING:
    from random import Random

    from llm_worker.domain.delivery import Header

UNREADABLE: Final = "@name@"
"""Stands for a header name that is no UTF-8, NOT_UTF8, until it is sent."""
NOT_UTF8: Final = b"\xff\xc0\x80na\xfe"

_EXAMPLES: Final = [
    example.document for example in load_examples() if example.event == "LLMComparisonRequestV1"
]
_ODD_TIMES: Final[tuple[Any, ...]] = (
    *(0, -1, 1e30, 253402300799, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "", []),
    *("2000-02-30T00:00:00Z", "2020-01-01T00:00:00+99:99", "1e400", "9999-12-31T23:59:59-14:00"),
)
_LONGEST: Final = 4 * 2**20 - 65_536
_LARGE_SHARE: Final = 0.002


class Fate(StrEnum):
    """What a record must come to, as far as that is known from how it was made."""

    VERDICT = "verdict"
    ERROR = "error"
    OPEN = "open"
    """What the documents say of such content; see `test_requests`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """A record to send, and how it was made."""

    how: str
    fate: Fate
    value: bytes | None
    key: bytes | None
    headers: tuple[Header, ...]
    age_s: int = 0

    @property
    def headers_as_read(self) -> tuple[Header, ...]:
        """Give the headers with every name as the worker can read it."""
        readable = NOT_UTF8.decode(errors="backslashreplace")
        return tuple((name.replace(UNREADABLE, readable), value) for name, value in self.headers)


class RequestMaker:
    """Makes records; `reply_topics` are what a caller may, or may not, ask to be answered on."""

    def __init__(self, draw: Random, reply_topics: list[str]) -> None:
        self._draw = draw
        self._mutator = Mutator(draw)
        self._reply_topics = reply_topics
        self._made: list[Hostile] = []

    def record(self) -> Hostile:
        """Make the next one; one in five is as it should be."""
        kind = self._draw.random()
        if kind < 0.2:
            made = self._valid()
        elif kind < 0.4:
            made = self._harmless()
        elif kind < 0.6:
            made = self._broken()
        else:
            made = self._mutated()
        self._made.append(made)
        return made

    def _valid(self) -> Hostile:
        document = self._document()
        key = document["correlation_id"].encode()
        return Hostile(
            how="valid",
            fate=Fate.VERDICT,
            value=json.dumps(document).encode(),
            key=key,
            headers=(("correlation_id", key),),
        )

    def _document(self) -> dict[str, Any]:
        """A golden request under ids of its own, with texts of its own."""
        document: dict[str, Any] = json.loads(json.dumps(self._draw.choice(_EXAMPLES)["value"]))
        document |= {"event_id": self._uuid(), "correlation_id": self._uuid()}
        words = f"{TEXT} {self._draw.randrange(10**9)}"
        # The planted texts lie side by side, so that a few bytes less put them nowhere else.
        for name in ("callback_topic", "not_after", "correlation_id", "llm_config_overrides"):
            document["data"][name] = None
        asked = {"user_prompt": words, "essay_a": f"{words} A", "essay_b": f"{words} B"}
        document["data"] = {
            **asked,
            **{k: v for k, v in document["data"].items() if k not in asked},
        }
        return document

    def _harmless(self) -> Hostile:
        """Odd, and still what the schema asks for."""
        made = self._valid()
        if self._draw.random() < _LARGE_SHARE * 5:
            return replace(made, how="large", value=self._large())
        odd = (
            {"how": "key", "key": self._odd_key()},
            {"how": "headers", "headers": self._odd_headers()},
            {"how": "time", "age_s": self._draw.choice((-1_800, 86_400, 10**9))},
            {"how": "whitespace", "value": b" \n" + (made.value or b"") + b"\t\r\n"},
            {"how": "odd content", "value": self._odd_content()},
            {"how": "odd content", "value": self._odd_content()},
        )
        earlier = [each for each in self._made if each.how == "valid"]
        if earlier and self._draw.random() < 0.1:
            return replace(self._draw.choice(earlier), how="again")
        changes: dict[str, Any] = self._draw.choice(odd)
        return replace(made, **changes)

    def _odd_content(self) -> bytes:
        document, text = self._document(), self._mutator.text
        data = document["data"]
        document["@new"] = data["@new"] = self._draw.choice((None, [1], {"a": {}}, "x"))
        document |= {"event_type": text(), "source_service": text()}
        data["essay_a"] += text() + "\U0001f600" * 9
        data["essay_b"] += "\u202e\x00\x1b[2J\u2066"
        data["metadata"] = {text(): [text(), 2**63, -0.0]}
        return json.dumps(document).encode()

    def _large(self) -> bytes:
        document = self._document()
        if self._draw.random() < 0.5:
            document["data"]["essay_a"] = f"{TEXT} " * 60_000
        else:
            document["data"]["metadata"] = {"large": "m" * 2_000_000}
        return json.dumps(document).encode()

    def _broken(self) -> Hostile:
        """No JSON that anybody could read."""
        value = self._valid().value or b""
        deep = self._document()
        deep["data"]["new"] = self._mutator.raw(
            self._mutator.nesting(self._draw.choice((260, 1_100, 50_000)))
        )
        broken = (
            None,
            value[: self._draw.randrange(len(value))],
            value.replace(b":", b":\xc3\x28", 1),
            value[:-1] + b', "new": NaN}',
            value.replace(TEXT.encode(), b"\\ud800" + TEXT.encode()),
            self._mutator.written(deep),
            self._draw.choice((b"\xef\xbb\xbf", b"\x00")) + value,
            value.decode().encode("utf-16"),
            self._draw.randbytes(self._draw.randrange(200)),
        )
        chosen = self._draw.choice(broken)
        if self._draw.random() < _LARGE_SHARE:
            piece = self._draw.choice((b"[", b"x", b'{"data":', b"\xff"))
            chosen = piece * (_LONGEST // len(piece))
        return Hostile(
            how="broken",
            fate=Fate.ERROR,
            value=chosen,
            key=self._odd_key(),
            headers=self._odd_headers(),
        )

    def _mutated(self) -> Hostile:
        """Wrong somewhere, or not."""
        document: Any = self._document()
        data = document["data"]
        key = self._odd_key() if self._draw.random() < 0.3 else document["correlation_id"].encode()
        how = self._draw.choice(("fields", "fields", "ids", "reply topic", "time", "bytes"))
        match how:
            case "fields":
                data["llm_config_overrides"] = self._odd_overrides()
                document = self._mutator.document(document, self._draw.randrange(3))
            case "ids":
                place = self._draw.choice((document, data))
                place[self._draw.choice(("correlation_id", "event_id"))] = self._odd_id()
            case "reply topic":
                known, odd = self._reply_topics, self._mutator.text()
                data["callback_topic"] = self._draw.choice((*known, odd))
            case "time":
                name = self._draw.choice(("event_timestamp", "not_after"))
                place = document if name in document else data
                place[name] = self._draw.choice(_ODD_TIMES)
            case _:
                pass
        value = self._mutator.written(document)
        if how == "bytes":
            value = self._mutator.bytes_(value)
        return Hostile(how=how, fate=Fate.OPEN, value=value, key=key, headers=self._odd_headers())

    def _odd_overrides(self) -> dict[str, Any]:
        one_of = self._draw.choice
        return {
            "system_prompt_override": TEXT,
            "model_override": one_of((None, "m", "m" * 256, "\u202em\x00")),
            "provider_override": one_of((None, None, "mock", "openai", "?")),
            "temperature_override": one_of((None, 0, 2, 2.1, -0.0, 1e-320)),
            "max_tokens_override": one_of((None, 1, 0, 2**40, 2**63, 1.0)),
        }

    def _uuid(self) -> str:
        return str(UUID(int=self._draw.getrandbits(128), version=4))

    def _odd_id(self) -> object:
        """An id in a form of its own, or none; never one that another record has."""
        own = self._uuid()
        forms = (own.upper(), f"urn:uuid:{own}", f"{{{own}}}", own.replace("-", ""), f" {own}")
        wrong = (own[:-1], own + "0", "\u0665" + own[1:], own + "\u202e", None, 7, [own])
        return self._draw.choice((*forms, *wrong, "x" * 9_000))

    def _odd_key(self) -> bytes | None:
        own = self._uuid().encode()
        return self._draw.choice(
            (own, None, b"", b"\xff\xfe", b"k" * 20_000, own.upper(), KEY.encode(), own + b"\x00")
        )

    def _odd_headers(self) -> tuple[Header, ...]:
        trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        odd: tuple[Header, ...] = (
            ("correlation_id", self._uuid().encode()),
            ("correlation_id", b"\xff"),
            ("correlation_id", None),
            ("authorization", f"Bearer {KEY}".encode()),
            ("traceparent", trace),
            ("traceparent", trace[:-1]),
            ("tracestate", b"a=b," * 200),
            ("tracestate", b"a=\r\n\xe2\x80\xae"),
            ("dlq.reason", b"forged"),
            ("undeliverable_to", b"nowhere"),
            ("replay_of", self._uuid().encode()),
            ("", b""),
            ("\u202ename\x00\n", b"\x00" * 3_000),
            ("n" * 5_000, None),
            (UNREADABLE, b"1"),
        )
        return tuple(self._draw.choices(odd, k=self._draw.randrange(4)))
