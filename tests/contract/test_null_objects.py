"""What is switched off is a null object: it answers, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.application.ports import NoBudget
from tests.support.builders import attempt_of, completion_of, request_of
from tests.support.fakes import FakeBudget

if TYPE_CHECKING:
    from llm_worker.application.ports import Budget


@pytest.mark.parametrize("budget", [NoBudget(), FakeBudget()])
async def test_every_budget_takes_what_fits_and_its_release(budget: Budget) -> None:
    request, attempt = request_of(), attempt_of(completion_of()).attempt
    await budget.reserve(request, attempt)
    budget.settle(attempt, completion_of().billing)
    await budget.reserve(request, attempt)
    budget.settle(attempt, None)
