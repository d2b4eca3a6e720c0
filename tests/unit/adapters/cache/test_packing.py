from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING

import msgpack
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.cache.packing import (
    VERSION,
    UnknownFormError,
    pack_attempt,
    pack_records,
    pack_verdict,
    unpack_attempt,
    unpack_records,
    unpack_verdict,
)
from llm_worker.contracts.vocabulary import ProviderName, Winner
from llm_worker.domain.cached import CachedVerdict
from llm_worker.domain.delivery import Record
from llm_worker.domain.outcome import Attempt, Repair, Target
from llm_worker.domain.verdict import Billing, CallFacts, Completion, Usage, Verdict
from tests.support.builders import NOW, TARGET, completion_of, verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable

_UNPACKERS = [unpack_records, unpack_attempt, unpack_verdict]
_texts = st.text(st.characters(exclude_categories=["Cs"]))
_times = st.datetimes(timezones=st.just(UTC))
_counts = st.none() | st.integers(0, 10**9)
_costs = st.none() | st.decimals(0, 10**6, allow_nan=False, allow_infinity=False)
_headers = st.lists(st.tuples(_texts, st.none() | st.binary())).map(tuple)
_records = st.lists(
    st.builds(
        Record,
        topic=_texts,
        key=st.binary(),
        value=st.none() | st.binary(max_size=3_000),
        headers=_headers,
        is_own=st.booleans(),
    )
).map(tuple)
_attempts = st.builds(
    Attempt,
    attempt_id=st.uuids(),
    number=st.integers(1, 99),
    target=st.builds(Target, provider=st.sampled_from(ProviderName), model=_texts),
    started_at=_times,
    repair=st.none() | st.just(Repair(answer="", fault="")),
    is_probe=st.booleans(),
)
_verdicts = st.builds(
    CachedVerdict,
    provider=st.sampled_from(ProviderName),
    completion=st.builds(
        Completion,
        verdict=st.builds(
            Verdict,
            winner=st.sampled_from(Winner),
            justification=_texts,
            confidence=st.floats(0, 1),
        ),
        model=_texts,
        billing=st.builds(
            Billing,
            usage=st.builds(
                Usage,
                prompt_tokens=_counts,
                completion_tokens=_counts,
                cache_read_tokens=_counts,
                cache_write_tokens=_counts,
                reasoning_tokens=_counts,
                cache_write_1h_tokens=_counts,
            ),
            cost_usd=_costs,
        ),
        facts=st.builds(
            CallFacts,
            provider_request_id=st.none(),
            http_status=st.none(),
            limits=st.just(()),
            adjustments=st.lists(_texts).map(tuple),
        ),
    ),
    bought_by=st.uuids(),
    organization_id=st.none() | _texts,
    bought_at=_times,
)


@given(_records)
def test_records_come_back_byte_for_byte(records: tuple[Record, ...]) -> None:
    assert unpack_records(pack_records(records)) == records


@given(_attempts)
def test_attempts_come_back(attempt: Attempt) -> None:
    assert unpack_attempt(pack_attempt(attempt)) == attempt


@given(_verdicts)
def test_verdicts_come_back(verdict: CachedVerdict) -> None:
    back = unpack_verdict(pack_verdict(verdict))
    assert back == verdict
    assert str(back.saved_usd) == str(verdict.saved_usd)


def test_what_a_model_said_instead_of_a_verdict_is_not_written_down() -> None:
    attempt = Attempt(
        attempt_id=verdict_of().bought_by,
        number=2,
        target=TARGET,
        started_at=NOW,
        repair=Repair(answer="My essay was on dogs.", fault="no winner"),
    )
    assert b"dogs" not in pack_attempt(attempt)
    assert unpack_attempt(pack_attempt(attempt)).repair == Repair(answer="", fault="")


def test_facts_of_the_call_that_bought_it_are_not_the_hits() -> None:
    facts = CallFacts(provider_request_id="req_1", http_status=200, adjustments=("a",))
    verdict = verdict_of(completion_of(facts=facts))
    kept = replace(verdict, completion=completion_of(facts=CallFacts(adjustments=("a",))))
    assert unpack_verdict(pack_verdict(verdict)) == kept


def test_what_is_large_is_compressed_and_what_is_small_is_not() -> None:
    def packed_of(size_bytes: int) -> bytes:
        return pack_records([Record(topic="t", key=b"", value=b"x" * size_bytes, headers=())])

    assert len(packed_of(900)) > 900
    assert len(packed_of(100_000)) < 1_000
    assert unpack_records(packed_of(100_000))[0].value == b"x" * 100_000


@pytest.mark.parametrize("unpack", _UNPACKERS)
@given(garbage=st.binary())
def test_bytes_of_another_version_are_an_unknown_form(
    unpack: Callable[[bytes], object], garbage: bytes
) -> None:
    for version in (0, VERSION + 1, 255):
        with pytest.raises(UnknownFormError):
            unpack(bytes([version, 0]) + garbage)


_forms = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**40) | st.text("ab") | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text("ab"), inner, max_size=3),
)


def _is_read_or_unknown(unpack: Callable[[bytes], object], packed: bytes) -> None:
    with suppress(UnknownFormError):
        unpack(packed)


@pytest.mark.parametrize("unpack", _UNPACKERS)
@given(st.binary(), st.sampled_from([0, 1, 2]))
def test_garbage_is_an_unknown_form_and_nothing_worse(
    unpack: Callable[[bytes], object], garbage: bytes, how: int
) -> None:
    _is_read_or_unknown(unpack, garbage)
    _is_read_or_unknown(unpack, bytes([VERSION, how]) + garbage)
    _is_read_or_unknown(unpack, bytes([VERSION, 1]) + zstd.compress(garbage))


@pytest.mark.parametrize("unpack", _UNPACKERS)
@given(_forms)
def test_form_that_nobody_wrote_is_unknown_and_nothing_worse(
    unpack: Callable[[bytes], object], form: object
) -> None:
    _is_read_or_unknown(unpack, bytes([VERSION, 0]) + msgpack.packb(form))


def test_provider_that_this_version_does_not_know_is_an_unknown_form() -> None:
    # What a newer worker wrote, while old ones still run beside it.
    packed = pack_verdict(verdict_of())
    newer = packed.replace(b"\xa4mock", b"\xa4nova")
    assert newer != packed
    with pytest.raises(UnknownFormError):
        unpack_verdict(newer)


def test_cut_bytes_are_an_unknown_form() -> None:
    record = Record(topic="t", key=b"", value=bytes(range(256)) * 40, headers=())
    for packed in (pack_records([record]), pack_verdict(verdict_of())):
        for length in (0, 1, 2, 3, len(packed) // 2, len(packed) - 1):
            with pytest.raises(UnknownFormError):
                unpack_records(packed[:length])


def test_costs_are_exact() -> None:
    verdict = verdict_of(completion_of(cost_usd=Decimal("0.000000100")))
    assert str(unpack_verdict(pack_verdict(verdict)).saved_usd) == "1.00E-7"
