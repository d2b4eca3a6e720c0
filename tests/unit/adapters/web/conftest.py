from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.site import FakeSite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.site import Client


@pytest.fixture
def site() -> FakeSite:
    return FakeSite()


@pytest.fixture
async def client(site: FakeSite) -> AsyncIterator[Client]:
    async with site.client() as client:
        yield client
