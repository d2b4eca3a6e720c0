"""How long a provider asks us to wait: every form in which one is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llm_worker.adapters.providers.dialect import Headers

_LONGEST_S: Final = 31 * 86_400
"""No quota is longer than a month: what is more is no delay but, say, a moment in epoch seconds."""

_UNITS_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART: Final = r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)"
_PARTS: Final = re.compile(_PART)
_DURATION: Final = re.compile(f"(?:{_PART})+")
_ADVICE: Final = re.compile(r"retry in ((?:\d+(?:\.\d+)?(?:h|ms|us|µs|ns|m|s))+)", re.IGNORECASE)


def retry_after_s(headers: Headers, now: datetime) -> float | None:
    """Read `retry-after-ms`, else `retry-after`: seconds with decimals, or an HTTP date.

    None where there is none, and for a moment that is past or further than a month away.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _sensible(milliseconds / 1000)
    told = headers.get("retry-after")
    seconds = _number(told)
    if seconds is not None:
        return _sensible(seconds)
    moment = _http_date(told)
    return None if moment is None else _sensible((moment - now).total_seconds())


def duration_s(told: str | None) -> float | None:
    """Read a duration as Go and protobuf write it: `12ms`, `1s`, `6m0s`, `47.434392449s`."""
    if told is None or not _DURATION.fullmatch(told):
        return None
    return _sensible(sum(float(count) * _UNITS_S[unit] for count, unit in _PARTS.findall(told)))


def advised_s(message: str | None) -> float | None:
    """Find the advice `retry in 47.4s` in a message."""
    advice = _ADVICE.search(message or "")
    return duration_s(advice.group(1)) if advice else None


def until_s(told: str | None, now: datetime) -> float | None:
    """Say how many seconds are left to a moment in RFC 3339; 0 where it is past."""
    try:
        moment = datetime.fromisoformat(told or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _number(told: str | None) -> float | None:
    try:
        return float(told or "")
    except ValueError:
        return None


def _sensible(seconds: float) -> float | None:
    return seconds if isfinite(seconds) and 0 <= seconds <= _LONGEST_S else None


def _http_date(told: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(told or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
