"""The server: one address a provider, and one to steer them all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

import orjson
from aiohttp import web

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.dev.fake_providers.anthropic import Anthropic
from llm_worker.dev.fake_providers.behaviours import (
    CloseWithoutAnswer,
    CutBody,
    Failure,
    Hang,
    NotJson,
    Redirect,
    Reset,
    Slow,
    Verdict,
)
from llm_worker.dev.fake_providers.control import CONTROL_PATH, control
from llm_worker.dev.fake_providers.exchange import Call
from llm_worker.dev.fake_providers.faults import break_off, proxy_page, send_half
from llm_worker.dev.fake_providers.google import Google
from llm_worker.dev.fake_providers.openai import OpenAI
from llm_worker.dev.fake_providers.openrouter import OpenRouter
from llm_worker.dev.fake_providers.provider import FakeProvider
from llm_worker.dev.fake_providers.self_hosted import SelfHosted

if TYPE_CHECKING:
    from types import TracebackType

    from llm_worker.dev.fake_providers.behaviours import Reply
    from llm_worker.dev.fake_providers.exchange import Answer, Wire
    from llm_worker.dev.fake_providers.provider import Behaviour

HOST = "127.0.0.1"
BASES = {
    ProviderName.ANTHROPIC: "/anthropic",
    ProviderName.OPENAI: "/openai/v1",
    ProviderName.GOOGLE: "/google",
    ProviderName.OPENROUTER: "/openrouter/api/v1",
    ProviderName.SELF_HOSTED: "/self_hosted/v1",
}
"""What a provider's base URL ends in here, in place of the path of its real one."""

_LARGEST_BODY = 32 * 2**20
_STOP_TIMEOUT_S = 0.1


class FakeProviderServer:
    """All providers' APIs on one port of the loopback interface, while the context lasts.

    Args:
        port: A free one if 0.
    """

    def __init__(self, *, port: int = 0) -> None:
        self._port = port
        self._providers = {name: FakeProvider(name) for name in BASES}
        self._wires: dict[ProviderName, Wire] = {
            ProviderName.ANTHROPIC: Anthropic(self._providers[ProviderName.ANTHROPIC]),
            ProviderName.OPENAI: OpenAI(self._providers[ProviderName.OPENAI]),
            ProviderName.GOOGLE: Google(),
            ProviderName.OPENROUTER: OpenRouter(self._providers[ProviderName.OPENROUTER]),
            ProviderName.SELF_HOSTED: SelfHosted(),
        }
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return f"http://{HOST}:{self._port}"

    def base_url(self, name: ProviderName) -> str:
        """The address to use in place of the provider's own."""
        return self.url + BASES[name]

    def provider(self, name: ProviderName) -> FakeProvider:
        """The provider's script, and what was asked of it."""
        return self._providers[name]

    async def __aenter__(self) -> Self:
        server = web.Server(
            self._handle,
            request_factory=_request,
            handler_cancellation=True,  # a caller that goes away ends what it waited for
            access_log=None,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_STOP_TIMEOUT_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        path = unquote(path)
        body = await request.read()
        if path.startswith(CONTROL_PATH):
            return _response(control(request.method, path, body, self._providers))
        for name, base in BASES.items():
            if path.startswith(base):
                call = Call(
                    method=request.method,
                    path=path[len(base) :],
                    query=query,
                    headers=request.headers,
                    body=_json(body),
                )
                return await self._serve(name, call, request)
        return web.Response(status=404, text="no provider has this path")

    async def _serve(
        self, name: ProviderName, call: Call, request: web.BaseRequest
    ) -> web.StreamResponse:
        provider, wire = self._providers[name], self._wires[name]
        with provider.noting(call):
            if provider.latency_s:
                await asyncio.sleep(provider.latency_s)
            objection = wire.objection(call)
            if objection is not None:
                provider.note_status(objection.status)
                return _response(objection)
            response = await self._behave(wire, call, provider.take(call), request)
            provider.note_status(response.status)
            return response

    async def _behave(
        self, wire: Wire, call: Call, behaviour: Behaviour, request: web.BaseRequest
    ) -> web.StreamResponse:
        match behaviour:
            case Hang() | Reset() | CloseWithoutAnswer():
                return await break_off(behaviour, request)
            case NotJson() | Redirect():
                return proxy_page(behaviour)
            case CutBody():
                return await send_half(_answer(wire, call, Verdict()), request)
            case Slow():
                await asyncio.sleep(behaviour.latency_s)
                return _response(_answer(wire, call, behaviour))
            case _:
                return _response(_answer(wire, call, behaviour))


def _answer(wire: Wire, call: Call, behaviour: Reply | Failure) -> Answer:
    if isinstance(behaviour, Failure):
        return wire.failure(call, behaviour)
    return wire.look_up(call) if call.method == "GET" else wire.reply(call, behaviour)


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _json(body: bytes) -> Any:  # noqa: ANN401 - whatever was sent
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's signature
    return web.BaseRequest(
        message,
        payload,
        protocol,
        writer,
        task,
        asyncio.get_running_loop(),
        client_max_size=_LARGEST_BODY,
    )
