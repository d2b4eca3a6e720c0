"""A soak is flat or not: samples that hold still, or grow in one place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.soak_trends import ProcessSample, SoakSample, trends


def _sample(number: int, **changed: float) -> SoakSample:
    process = ProcessSample(name="worker-0", rss_mb=100, descriptors=40, threads=9)
    of_process = {name: changed.pop(name) for name in list(changed) if hasattr(process, name)}
    sample = SoakSample(
        at_s=number * 10,
        sent=number * 100,
        lag=0,
        redis_keys=number * 200,
        redis_mb=number * 0.2,
        p50_ms=160,
        p99_ms=200,
        processes=(replace(process, **of_process),),  # type: ignore[arg-type] # its own fields
    )
    return replace(sample, **changed)  # type: ignore[arg-type] # its own fields


def _grown(samples: list[SoakSample]) -> set[str]:
    return {trend.what for trend in trends(samples) if not trend.is_flat}


def test_stack_that_holds_still_is_flat() -> None:
    assert _grown([_sample(number) for number in range(30)]) == set()


@pytest.mark.parametrize(
    ("field", "what", "first", "step"),
    [
        ("rss_mb", "worker-0 MB", 100, 2),
        ("descriptors", "worker-0 descriptors", 40, 1),
        ("threads", "worker-0 threads", 9, 1),
        ("p50_ms", "p50 ms", 160, 10),
        ("p99_ms", "p99 ms", 0, 60),
    ],
)
def test_what_grows_is_named(field: str, what: str, first: float, step: float) -> None:
    samples = [_sample(number, **{field: first + number * step}) for number in range(30)]
    assert _grown(samples) == {what}


def test_what_grows_only_while_it_warms_up_is_flat() -> None:
    samples = [_sample(number, rss_mb=60 + 5 * min(number, 10)) for number in range(30)]
    assert _grown(samples) == set()


def test_more_keys_a_request_are_named_and_more_requests_are_not() -> None:
    steady = [_sample(number) for number in range(20)]
    keys = steady[-1].redis_keys
    leaking = [
        _sample(20 + number, redis_keys=keys + number * 400, redis_mb=(keys + number * 400) / 1000)
        for number in range(10)
    ]
    assert _grown([*steady, *leaking]) == {"Redis keys a request"}


def test_redis_that_was_emptied_is_no_growth() -> None:
    samples = [_sample(number) for number in range(30)]
    samples[25:] = [replace(each, redis_keys=10, redis_mb=0.01) for each in samples[25:]]
    assert _grown(samples) == set()


def test_spikes_of_a_fault_are_no_trend() -> None:
    samples = [_sample(number, p99_ms=60_000 if number % 4 == 0 else 200) for number in range(30)]
    assert _grown(samples) == set()


def test_few_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="samples say nothing"):
        trends([_sample(number) for number in range(5)])
