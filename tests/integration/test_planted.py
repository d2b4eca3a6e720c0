"""Keys, essays and prompts planted everywhere: they come out only where the contract puts them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import orjson
import psutil
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from llm_worker.contracts.vocabulary import REQUEST_TOPICS, TopicName
from tests.support.builders import body_of
from tests.support.otlp import OtlpReceiver
from tests.support.worker import Installation, answered, send_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aiokafka import ConsumerRecord

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.support.worker import WorkerProcess

_TEXT = "Zwiebelkuchen"
"""In every essay, prompt and instruction."""
_KEY = "Zwiebelfisch"
"""In every key and password."""
_HEADERS = {"X-API-Key": f"{_KEY}-admin"}
_PAGES = (
    *("/", "/livez", "/readyz", "/healthz", "/metrics", "/api/openapi.json"),
    *("/api/v1/state", "/api/v1/usage", "/api/v1/providers", "/api/v1/admin/config"),
)
_COMMANDS = (
    *(["doctor"], ["config", "list"], ["providers", "list"], ["usage"]),
    ["dead-letters", "list"],
)
_MAY_HOLD_REQUESTS = {*REQUEST_TOPICS.values(), TopicName.DEAD_LETTER}


class _Parrot:
    """A provider that says back whatever it was sent, the key included, in ever other ways."""

    def __init__(self) -> None:
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with what was asked."""
        said = f"{await request.text()} {request.headers.get('Authorization')}"
        assert _TEXT in said
        assert _KEY in said
        self.asked += 1
        error = {"error": {"message": said, "type": "invalid_request_error", "code": said}}
        verdict = {"choices": [{"message": {"content": said}, "finish_reason": said}]}
        answers: list[tuple[int, Any]] = [
            (400, error),
            (401, error),
            (429, error),
            (500, error),
            (200, error),
            (200, verdict),
            (200, said),
            (418, said),
        ]
        status, body = answers[self.asked % len(answers)]
        headers = {"Retry-After": said[:100], "x-request-id": said[:100]}
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers=headers)
        return web.json_response(body, status=status, headers=headers)


def _settings(parrot: BaseTestServer, receiver: OtlpReceiver) -> dict[str, str]:
    provider = "LLM_WORKER_PROVIDERS__SELF_HOSTED__"
    return {
        "LLM_WORKER_PROVIDERS__MOCK__ENABLED": "false",
        f"{provider}BASE_URL": f"http://127.0.0.1:{parrot.port}/v1",
        f"{provider}API_KEY": f"{_KEY}-provider",
        f"{provider}DEFAULT_MODEL": "parrot",
        "LLM_WORKER_BREAKER__FAILURE_THRESHOLD": "1000",
        "LLM_WORKER_RETRY__BACKOFF_S": "0.01",
        "LLM_WORKER_REQUEST_DEADLINE_S": "20",
        "LLM_WORKER_CACHE__REDIS_URL": f"redis://user:{_KEY}@127.0.0.1:1/0",
        "LLM_WORKER_KAFKA__SASL_PASSWORD": _KEY,
        "LLM_WORKER_WEB__API_KEY": f"{_KEY}-api",
        "LLM_ADMIN_API_KEY": _HEADERS["X-API-Key"],
        "LLM_WORKER_LOG__LEVEL": "DEBUG",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-token={_KEY}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


def _requests() -> list[dict[str, Any]]:
    planted = {
        "user_prompt": f"{_TEXT}: which is better?",
        "essay_a": f"{_TEXT} A",
        "essay_b": f"{_TEXT} B",
        "llm_config_overrides": {"system_prompt_override": _TEXT},
        "cache_mode": "bypass",
    }
    wrong: list[dict[str, Any]] = [
        {"essay_b": None},
        {"user_prompt": {_TEXT: 1}},
        {"essay_a": [_TEXT]},
        {"replicate": _TEXT},
        {"llm_config_overrides": {"temperature_override": _TEXT}},
        {"not_after": _TEXT},
    ]
    return [body_of(**planted) for _ in range(24)] + [body_of(**planted | each) for each in wrong]


async def _ask(worker: WorkerProcess) -> list[str]:
    """Look at every page, and have comparisons refused in every way; give all that is answered."""
    said = []
    async with aiohttp.ClientSession() as session:
        for path in _PAGES:
            async with session.get(worker.url + path, headers=_HEADERS) as answer:
                assert answer.status in {200, 503}, path
                said.append(f"{dict(answer.headers)} {await answer.text()}")
        comparison = f"{worker.url}/api/v1/comparison"
        for body in (f'{{"user_prompt": "{_TEXT}', f'{{"user_prompt": ["{_TEXT}"]}}', _TEXT):
            headers = {"X-API-Key": f"{_KEY}-api", "Content-Type": "application/json"}
            async with session.post(comparison, data=body, headers=headers) as answer:
                assert answer.status == 400
                said.append(await answer.text())
        async with session.post(
            comparison, json={"user_prompt": _TEXT}, headers={"X-API-Key": f"{_KEY}-wrong"}
        ) as answer:
            assert answer.status == 401
            said.append(await answer.text())
        async with session.post(
            f"{worker.url}/api/v1/providers/self_hosted/test", headers=_HEADERS
        ) as answer:
            said.append(await answer.text())
    return said


def _run(installation: Installation, words: Sequence[str]) -> str:
    """Run a command with the worker's settings, and give what it prints."""
    environment = {
        **installation.settings,
        "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": installation.bootstrap_servers,
        "LLM_WORKER_KAFKA__TOPIC_PREFIX": installation.prefix,
        "PATH": os.defpath,
    }
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "llm_worker", *words],
        env=environment,
        cwd=installation.directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert printed
    assert "Traceback" not in printed
    return printed


def _text_of(record: ConsumerRecord) -> str:
    return f"{record.key} {record.value} {record.headers}"


async def test_what_is_planted_comes_out_only_where_the_contract_puts_it(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    application = web.Application()
    parrot = _Parrot()
    application.router.add_post("/v1/chat/completions", parrot.answer)
    bodies = _requests()
    asking = {body["correlation_id"] for body in bodies}
    async with TestServer(application) as server, OtlpReceiver() as receiver:
        installation = Installation(
            kafka.bootstrap_servers, tmp_path, settings=_settings(server, receiver)
        )
        await installation.create()
        async with installation.worker() as worker:
            async with installation.producer() as producer:
                await send_all(producer, installation.request_topic(), bodies)
                await producer.send_and_wait(
                    installation.request_topic(),
                    orjson.dumps({"data": _TEXT}) + b"}",
                    key=str(uuid4()).encode(),
                )
            await installation.read(
                installation.topic(TopicName.COMPARISON_RESULT),
                until=lambda records: asking <= answered(records),
            )
            await installation.until_committed()
            pages = await _ask(worker)
            command_line = psutil.Process(worker.process.pid).cmdline()
            shown = await asyncio.gather(
                *(asyncio.to_thread(_run, installation, words) for words in _COMMANDS)
            )
            assert await worker.terminate() == 0
        spans = b"".join(receiver.bodies).decode(errors="replace")
    places = {
        "log": worker.log,
        "pages": "\n".join(pages),
        "spans": spans,
        "command line": " ".join(command_line),
        "commands": "\n".join(shown),
    }
    names = [name for name in TopicName if name not in _MAY_HOLD_REQUESTS]
    for name, records in zip(
        names, await asyncio.gather(*(_all_of(installation, name) for name in names)), strict=True
    ):
        places[name] = "\n".join(map(_text_of, records))
    assert parrot.asked >= len(places)
    assert places[TopicName.COMPARISON_RESULT]
    assert places[TopicName.PROVIDER_FAILURE]
    assert "consume" in spans
    for place, text in places.items():
        for planted in (_TEXT, _KEY):
            at = text.find(planted)
            assert at < 0, f"{place}: ...{text[max(0, at - 300) : at + 60]}..."


async def _all_of(installation: Installation, name: TopicName) -> list[ConsumerRecord]:
    topic = installation.topic(name)
    count = sum((await installation.ends(topic)).values())
    return await installation.read(topic, until=lambda records: len(records) >= count)
