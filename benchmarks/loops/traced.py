"""Lets a profiler beside us look in, where Linux's Yama allows it to parents alone."""

from __future__ import annotations

import ctypes

_PR_SET_PTRACER = 0x59616D61
_PR_SET_PTRACER_ANY = -1


def let_profilers_in() -> None:
    """Allow processes of the same user to trace this one; without Yama nothing happens."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)
