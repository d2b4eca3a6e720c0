"""/api/v1/admin: the settings that can be changed while the processes run."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from llm_worker.adapters.web.answers import json_answer
from llm_worker.adapters.web.bodies import read_body, read_optional_body
from llm_worker.adapters.web.operations import Key, Operation
from llm_worker.adapters.web.providers import PROVIDER, provider_in
from llm_worker.contracts.http import (
    ChangeAnswer,
    ConfigAnswer,
    Reason,
    SettingAnswer,
    SettingChange,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

    from llm_worker.adapters.web.guard import Guard
    from llm_worker.adapters.web.operations import Handler

_FAULTS: Final = (401, 404, 429)
_CHANGE_FAULTS: Final = (400, 401, 404, 408, 413, 415, 429, 503)
_SETTING: Final = {
    "name": "setting",
    "in": "path",
    "required": True,
    "description": "By its name in the TOML file: budget.daily_usd.",
    "schema": {"type": "string"},
}


class RuntimeConfig(Protocol):
    """The runtime settings, and the way to change them in every process.

    All raise RequestError: 404 where there is no such setting, 400 where the value is none for it,
    503 where the broker does not take the change.
    """

    def list(self) -> list[SettingAnswer]:
        """Give every one as it holds here."""

    def get(self, name: str) -> SettingAnswer:
        """Give one."""

    async def set(self, name: str, value: Any, reason: str | None) -> ChangeAnswer:  # noqa: ANN401 - each setting has a type of its own
        """Change one; the broker holds the change on return."""

    async def unset(self, name: str) -> ChangeAnswer:
        """Take a change away."""


def admin_operations(config: RuntimeConfig, guard: Guard) -> list[Operation]:
    """Show and change settings; all want the admin key."""

    async def list_settings(request: web.Request) -> web.Response:
        guard.admin(request)
        return json_answer(HTTPStatus.OK, ConfigAnswer(settings=config.list()))

    async def get_setting(request: web.Request) -> web.Response:
        guard.admin(request)
        return json_answer(HTTPStatus.OK, config.get(request.match_info["setting"]))

    async def set_setting(request: web.Request) -> web.Response:
        guard.admin(request)
        name = request.match_info["setting"]
        config.get(name)
        change = await read_body(request, SettingChange)
        return json_answer(
            HTTPStatus.OK, await config.set(name, change.value, change.reason or None)
        )

    async def unset_setting(request: web.Request) -> web.Response:
        guard.admin(request)
        return json_answer(HTTPStatus.OK, await config.unset(request.match_info["setting"]))

    path = "/api/v1/admin/config"
    return [
        _operation("GET", path, list_settings, "Every runtime setting", answer=ConfigAnswer),
        _operation("GET", f"{path}/{{setting}}", get_setting, "One of them", answer=SettingAnswer),
        _operation(
            "PUT",
            f"{path}/{{setting}}",
            set_setting,
            "Change it in every process, until it is unset",
            body=SettingChange,
        ),
        _operation("DELETE", f"{path}/{{setting}}", unset_setting, "Take the change away"),
        *_switches(config, guard),
    ]


def _switches(config: RuntimeConfig, guard: Guard) -> Iterator[Operation]:
    def switch(*, is_on: bool) -> Handler:
        async def switch_provider(request: web.Request) -> web.Response:
            guard.admin(request)
            name = f"providers.{provider_in(request)}.enabled"
            reason = (await read_optional_body(request, Reason)).reason
            return json_answer(HTTPStatus.OK, await config.set(name, is_on, reason or None))

        switch_provider.__name__ = "enable_provider" if is_on else "disable_provider"
        return switch_provider

    for word, meaning in (
        ("enable", "Let a provider be called again"),
        ("disable", "Let a provider be called no more; running calls end"),
    ):
        yield _operation(
            "POST",
            f"/api/v1/admin/providers/{{name}}/{word}",
            switch(is_on=word == "enable"),
            meaning,
            body=Reason,
        )


def _operation(
    method: str,
    path: str,
    handle: Handler,
    summary: str,
    *,
    answer: Any = ChangeAnswer,  # noqa: ANN401 - a model
    body: Any = None,  # noqa: ANN401 - a model
) -> Operation:
    parameters = tuple(each for each in (_SETTING, PROVIDER) if f"{{{each['name']}}}" in path)
    return Operation(
        method=method,
        path=path,
        handle=handle,
        summary=summary,
        answers={200: answer},
        faults=_FAULTS if method == "GET" else _CHANGE_FAULTS,
        body=body,
        is_body_optional=body is Reason,
        parameters=parameters,
        key=Key.ADMIN,
    )
