from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llm_worker.adapters.kafka.trace_context import trace_of
from tests.support.builders import delivery_of

if TYPE_CHECKING:
    from llm_worker.domain.delivery import Header

_IDS = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
_PARENT = f"00-{_IDS}-01"
_OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
_STATE = "rojo=00f067aa0ba902b7,congo@vendor=t61rcWkgMzE"


def _header(name: str, value: str | bytes | None) -> Header:
    return name, value.encode() if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("metadata", "headers", "found"),
    [
        (None, {}, {}),
        ({}, {}, {}),
        ({"traceparent": _PARENT}, {}, {"traceparent": _PARENT}),
        (None, {"traceparent": _PARENT}, {"traceparent": _PARENT}),
        (
            {"traceparent": _PARENT, "tracestate": _STATE},
            {},
            {"traceparent": _PARENT, "tracestate": _STATE},
        ),
        (
            {"batch": 7},
            {"traceparent": _PARENT, "tracestate": _STATE},
            {"traceparent": _PARENT, "tracestate": _STATE},
        ),
        ({"traceparent": _PARENT}, {"traceparent": _OTHER}, {"traceparent": _PARENT}),
        ({"traceparent": "nonsense"}, {"traceparent": _OTHER}, {"traceparent": _OTHER}),
        ({"traceparent": None}, {"traceparent": _OTHER}, {"traceparent": _OTHER}),
        (["a list"], {"traceparent": _OTHER}, {"traceparent": _OTHER}),
        ({"traceparent": _PARENT}, {"tracestate": _STATE}, {"traceparent": _PARENT}),
        ({"tracestate": _STATE}, {"traceparent": _PARENT}, {"traceparent": _PARENT}),
        ({"tracestate": _STATE}, {"tracestate": _STATE}, {}),
    ],
)
def test_trace_is_taken_from_the_envelope_and_else_from_the_headers(
    metadata: object, headers: dict[str, str], found: dict[str, str]
) -> None:
    delivery = delivery_of(headers=tuple(_header(*each) for each in headers.items()))
    assert trace_of(metadata, delivery) == found


@pytest.mark.parametrize(
    "parent",
    [
        None,
        7,
        ["a", "list"],
        "",
        "x" * 4_000,
        _PARENT.upper(),
        f"{_PARENT} ",
        f"{_PARENT}\n",
        f"{_PARENT}-more",
        _IDS,
        f"ff-{_IDS}-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_what_is_no_traceparent_is_no_trace(parent: Any) -> None:  # noqa: ANN401 - what a caller writes
    assert trace_of({"traceparent": parent, "tracestate": _STATE}, delivery_of()) == {}


@pytest.mark.parametrize("parent", [None, b"", b"\xff not a trace", _PARENT.encode() + b"\xff"])
def test_header_that_is_no_traceparent_is_no_trace(parent: bytes | None) -> None:
    headers = (_header("traceparent", parent), _header("tracestate", _STATE))
    assert trace_of(None, delivery_of(headers=headers)) == {}


@pytest.mark.parametrize(
    "state",
    [
        "a=1",
        _STATE,
        "a=1 ,\tb=2",
        "a=1,,b=2",
        "0-tenant/x*_@vendor=!#$%&'()*+-./:;<>?@[]^_`{|}~ x",
        "a=" + "v" * 256,
        ",".join(f"k{n}=v" for n in range(32)),
    ],
)
def test_sound_tracestate_is_handed_on_as_it_came(state: str) -> None:
    found = trace_of({"traceparent": _PARENT, "tracestate": state}, delivery_of())
    assert found == {"traceparent": _PARENT, "tracestate": state}


@pytest.mark.parametrize(
    "state",
    [
        None,
        7,
        "",
        " , ",
        "a",
        "=1",
        "a=",
        "a=b=c",
        "A=1",
        "a=é",
        "a=1\n",
        "a=1\r\nheader: injected",
        "a=" + "v" * 257,
        "k" * 257 + "=v",
        ",".join(f"k{n}=v" for n in range(33)),
        ",".join("k=" + "v" * 200 for _ in range(3)),
        "Dogs are loyal and attentive companions.",
    ],
)
def test_tracestate_that_is_unsound_or_too_long_is_dropped_and_the_trace_stays(
    state: Any,  # noqa: ANN401 - what a caller writes
) -> None:
    found = trace_of({"traceparent": _PARENT, "tracestate": state}, delivery_of())
    assert found == {"traceparent": _PARENT}
