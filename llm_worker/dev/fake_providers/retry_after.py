"""When a failure says that the caller may come back."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from math import ceil
from typing import TYPE_CHECKING

from llm_worker.dev.fake_providers.behaviours import Overloaded, RateLimited

if TYPE_CHECKING:
    from datetime import datetime

    from llm_worker.dev.fake_providers.behaviours import Failure


def retry_after_header(failure: Failure, now: datetime) -> dict[str, str]:
    """Return the header, in whole seconds or as a date; nothing if it is not to say so there."""
    if not isinstance(failure, RateLimited | Overloaded) or failure.retry_after_s is None:
        return {}
    form = failure.form if isinstance(failure, RateLimited) else "native"
    if form == "message":
        return {}
    if form == "date":
        # A date counts whole seconds; rounded up, it never asks for less than was meant.
        then = now + timedelta(seconds=failure.retry_after_s, microseconds=999_999)
        return {"retry-after": format_datetime(then, usegmt=True)}
    return {"retry-after": str(ceil(failure.retry_after_s))}


def retry_after_words(failure: Failure) -> str:
    """Return what the message says of it; empty if it is not to say so there."""
    if not isinstance(failure, RateLimited) or failure.form != "message":
        return ""
    return f" Please try again in {failure.retry_after_s:g}s." if failure.retry_after_s else ""
