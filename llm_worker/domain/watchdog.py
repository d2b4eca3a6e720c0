"""When is a worker stuck, and not merely waiting?"""

from __future__ import annotations

from dataclasses import dataclass

OVERDUE_S = 60.0
"""How long past its deadline the oldest delivery may be while the broker takes records."""
UNCOMMITTED_S = 60.0
"""How long something finished may stay uncommitted while the broker answers."""
UNPULLED_S = 300.0
"""How long nothing may be pulled while records wait and their lane has room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the watchdog looks at. Ages in seconds; None: there is no such thing now.

    Both ages leave out the time in which the broker took nothing: then all work waits.
    `pullable` counts the records on the broker whose lane has a free slot and a window place.
    """

    oldest_overdue_s: float | None
    uncommitted_age_s: float | None
    pullable: int
    since_pull_s: float


def stuck_reason(progress: Progress) -> str | None:
    """Say in words why the process should be ended and restarted, None while it should not.

    Dead providers alone are no reason: their requests end at their deadline.
    """
    if progress.oldest_overdue_s is not None and progress.oldest_overdue_s > OVERDUE_S:
        return f"the oldest delivery is {progress.oldest_overdue_s:.0f} s past its deadline"
    if reason := uncommitted_reason(progress.uncommitted_age_s):
        return reason
    if progress.pullable > 0 and progress.since_pull_s > UNPULLED_S:
        return (
            f"{progress.pullable} records wait for a lane with room, "
            f"and none was pulled for {progress.since_pull_s:.0f} s"
        )
    return None


def uncommitted_reason(age_s: float | None) -> str | None:
    """Say that what is finished is not committed: refused, or a record before it was lost."""
    if age_s is None or age_s <= UNCOMMITTED_S:
        return None
    return f"finished deliveries stay uncommitted for {age_s:.0f} s"
