"""/api/v1/providers: who judges, how they stand, and a trial of one."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from llm_worker.adapters.web.answers import json_answer, not_found
from llm_worker.adapters.web.operations import Key, Operation, reading
from llm_worker.contracts.http import ProvidersAnswer, ProviderTestAnswer
from llm_worker.contracts.vocabulary import ProviderName

if TYPE_CHECKING:
    from aiohttp import web

    from llm_worker.adapters.web.guard import Guard

PROVIDER: Final = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": [name.value for name in ProviderName]},
}
"""The parameter of a path that names a provider."""


class Providers(Protocol):
    """What the worker knows of its providers."""

    def summary(self) -> ProvidersAnswer:
        """Describe all of them."""

    async def try_out(self, name: ProviderName) -> ProviderTestAnswer:
        """Make one tiny real call.

        Raises:
            RequestError: The provider is not in use.
        """


def provider_operations(providers: Providers, guard: Guard) -> list[Operation]:
    """Describe the providers; try one out."""

    async def list_providers(_request: web.Request) -> web.Response:
        return json_answer(HTTPStatus.OK, providers.summary())

    async def test_provider(request: web.Request) -> web.Response:
        guard.admin(request)
        return json_answer(HTTPStatus.OK, await providers.try_out(provider_in(request)))

    return [
        reading(
            "/api/v1/providers",
            list_providers,
            "Every provider, as this worker sees it",
            {200: ProvidersAnswer},
        ),
        Operation(
            method="POST",
            path="/api/v1/providers/{name}/test",
            handle=test_provider,
            summary="Buy one verdict on two tiny essays from a provider",
            answers={200: ProviderTestAnswer},
            faults=(401, 404, 409, 429),
            parameters=(PROVIDER,),
            key=Key.ADMIN,
        ),
    ]


def provider_in(request: web.Request) -> ProviderName:
    """Give the provider that the path names.

    Raises:
        RequestError: There is none of this name.
    """
    try:
        return ProviderName(request.match_info["name"])
    except ValueError:
        raise not_found(
            f"there is no such provider: use one of {', '.join(ProviderName)}"
        ) from None
