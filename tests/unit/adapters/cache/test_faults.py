from __future__ import annotations

import inspect

import pytest
import redis.exceptions

from llm_worker.adapters.cache.faults import REDIS_ERRORS, Fault, fault_of

_NO_CALL_RAISES = {"ChildDeadlockedError", "IncorrectPolicyType"}
"""The one is about forks, in the pool of threads; the other about a program's own policies."""


def _foreign() -> list[type[Exception]]:
    return [
        kind
        for name, kind in inspect.getmembers(redis.exceptions, inspect.isclass)
        if issubclass(kind, Exception) and name not in _NO_CALL_RAISES
    ]


@pytest.mark.parametrize("kind", _foreign())
def test_every_error_of_redis_is_caught_and_has_a_word(kind: type[Exception]) -> None:
    assert issubclass(kind, REDIS_ERRORS)
    assert isinstance(fault_of(kind.__new__(kind)), Fault)


def test_answer_is_no_fault() -> None:
    answers: list[object] = [None, b"", 0, []]
    assert not any(map(fault_of, answers))
