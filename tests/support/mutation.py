"""How pytest runs under `make mutants`: few examples, and what is quick first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import Phase, is_hypothesis_test, settings

if TYPE_CHECKING:
    import pytest

settings.register_profile(
    "mutation",
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # nobody reads the smallest failing example
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let examples fail before properties: the first failure ends a mutant."""
    items.sort(key=lambda item: is_hypothesis_test(getattr(item, "obj", None)))
