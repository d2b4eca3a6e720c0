"""The settings of the accountant: what it adds up at a time, and how it checks itself."""

from __future__ import annotations

from pydantic import Field

from llm_worker.settings.kinds import Group


class AccountantSettings(Group):
    """How usage is added up."""

    window_s: int = Field(
        default=60,
        ge=1,
        le=3600,
        description="Seconds that each event of usage analytics is about, 1 to 3600.",
    )
    horizon_s: int = Field(
        default=86_400,
        ge=60,
        description="Seconds back that an event's id is known, so that one that comes again is not "
        "counted again, 60 or more.",
    )
    verify_interval_s: int = Field(
        default=86_400,
        ge=0,
        description="Seconds between two checks that add this month and the last up again from the "
        "topics and compare; 0: none.",
    )
