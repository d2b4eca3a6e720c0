"""Changes that may exclude each other: which of them hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def holding_together(
    changes: Mapping[str, Any], fault_of: Callable[[Mapping[str, Any]], str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Give the changes that hold, and by name why the others do not: the older one comes first.

    Args:
        changes: By name, the oldest first.
        fault_of: Says what is wrong with some of them together; empty: nothing.
    """
    if not changes or not fault_of(changes):
        return dict(changes), {}
    held: dict[str, Any] = {}
    left = dict(changes)
    while True:
        ignored: dict[str, str] = {}
        for name, value in left.items():
            fault = fault_of({**held, name: value})
            if fault:
                ignored[name] = fault
            else:
                held[name] = value
        if len(ignored) == len(left):
            return held, ignored
        # Again: one may need a later one, as where another provider takes over.
        left = {name: changes[name] for name in ignored}
