from __future__ import annotations

from dataclasses import replace

import pytest

from llm_worker.domain.watchdog import Progress, stuck_reason

_WELL = Progress(
    oldest_overdue_s=None,
    uncommitted_age_s=None,
    pullable=0,
    since_pull_s=0,
)


@pytest.mark.parametrize(
    "progress",
    [
        _WELL,
        replace(_WELL, oldest_overdue_s=-250),
        replace(_WELL, oldest_overdue_s=60),
        replace(_WELL, uncommitted_age_s=60),
        replace(_WELL, pullable=9, since_pull_s=300),
        replace(_WELL, pullable=0, since_pull_s=86_400),
    ],
    ids=[
        "idle",
        "deadline not reached",
        "overdue for less than a minute",
        "uncommitted for less than a minute",
        "not pulled for less than five minutes",
        "nothing that may be pulled for a day, as when all providers are dead",
    ],
)
def test_worker_that_merely_waits_is_left_alone(progress: Progress) -> None:
    assert stuck_reason(progress) is None


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (replace(_WELL, oldest_overdue_s=61), "61 s past its deadline"),
        (replace(_WELL, uncommitted_age_s=61), "uncommitted for 61 s"),
        (replace(_WELL, pullable=1, since_pull_s=301), "none was pulled for 301 s"),
    ],
)
def test_watchdog_says_why_a_stuck_worker_is_to_be_ended(progress: Progress, words: str) -> None:
    assert words in (stuck_reason(progress) or "")
