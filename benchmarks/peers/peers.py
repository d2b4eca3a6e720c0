"""Who is compared, and how each is run."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, assert_never
from uuid import uuid4

import httpx

from benchmarks.over_http import environment_of, slots_for
from benchmarks.peers.apps.job import PeerJob
from benchmarks.peers.provider import API_KEY, BUILT, Provider
from benchmarks.subject import OTHER_CORE, SUBJECT_CORE, running
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.leashed import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bench import Bench
    from benchmarks.subject import Subject
    from llm_worker.contracts.topics import TopicCatalog

_HERE = Path(__file__).parent
_LITELLM_KEY = "sk-bench"
_LITELLM_START_S = 300.0
_POLL_S = 0.5


class Peer(StrEnum):
    """What is compared, in the order of the tables."""

    OURS = "llm-worker, Redis"
    OURS_ALONE = "llm-worker, no Redis"
    LITELLM = "LiteLLM proxy"
    FASTSTREAM_OPENAI = "FastStream, openai"
    FASTSTREAM_AIOHTTP = "FastStream, openai[aiohttp]"
    FASTSTREAM_HTTPX = "FastStream, httpx"
    BARE = "bare loop"


PROMISES = {
    Peer.OURS: "no request lost; a known outcome is not bought again, by no worker; cost, "
    "breakers, fallback, limits, five events each; all the others' work beside it",
    Peer.OURS_ALONE: "the same; what is known is known to one process, until it ends",
    Peer.LITELLM: "prices, fallback and limits of calls; nothing about records, which its caller "
    "loses or asks again",
    Peer.FASTSTREAM_OPENAI: "with max_workers a record is acknowledged before its call: a crash "
    "loses what is in flight; the SDK tries again twice",
    Peer.FASTSTREAM_AIOHTTP: "the same",
    Peer.FASTSTREAM_HTTPX: "the same, and no second try",
    Peer.BARE: "none: offsets are committed on a timer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What all peers are given: the same records, and the same provider.

    `call` is the body of the call that our worker makes for such a request.
    """

    bench: Bench
    topics: TopicCatalog
    provider: Provider
    redis_url: str
    call: str

    @contextmanager
    def running(self, peer: Peer, *, in_flight: int) -> Iterator[Subject]:
        """Run a peer, its process alone on the first core."""
        match peer:
            case Peer.OURS | Peer.OURS_ALONE:
                run = self._worker(self.redis_url if peer is Peer.OURS else "", in_flight)
            case Peer.LITELLM:
                run = self._litellm(in_flight)
            case Peer.FASTSTREAM_OPENAI:
                run = self._app("faststream", "faststream_openai", self._job(in_flight))
            case Peer.FASTSTREAM_AIOHTTP:
                job = replace(self._job(in_flight), over="aiohttp")
                run = self._app("faststream", "faststream_openai", job)
            case Peer.FASTSTREAM_HTTPX:
                run = self._app("faststream", "faststream_httpx", self._job(in_flight))
            case Peer.BARE:
                run = self._app("bare", "bare", self._job(in_flight))
            case _:
                assert_never(peer)
        with run as subject:
            yield subject

    @contextmanager
    def _worker(self, redis_url: str, in_flight: int) -> Iterator[Subject]:
        slots = slots_for(in_flight)
        providers = environment_of(self.bench.fakes, calls=slots) | {
            "LLM_WORKER_PROVIDERS__OPENAI__BASE_URL": self.provider.base_url
        }
        settings = {"CACHE__REDIS_URL": redis_url, "CACHE__KEY_PREFIX": f"{uuid4()}:"}
        with self.bench.worker(
            self.topics, slots=slots, providers=providers, settings=settings
        ) as (subject, _):
            yield subject

    @contextmanager
    def _litellm(self, in_flight: int) -> Iterator[Subject]:
        """Run the proxy, and the bare loop that calls it on the second core."""
        [port] = free_ports(1)
        name = f"litellm-{uuid4()}"
        config = self.bench.directory / f"{name}.yaml"
        written = (_HERE / "litellm.yaml").read_text(encoding="utf-8")
        config.write_text(written.replace("PROVIDER", self.provider.base_url), encoding="utf-8")
        job = replace(
            self._job(in_flight), base_url=f"http://127.0.0.1:{port}/v1", api_key=_LITELLM_KEY
        )
        with running(
            "litellm.proxy.proxy_cli",
            python=_python_of("litellm"),
            log=config.with_suffix(".log"),
            env={"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            arguments=["--config", str(config), "--host", "127.0.0.1", "--port", str(port)],
        ) as proxy:
            _wait_until_it_answers(proxy, f"http://127.0.0.1:{port}/health/liveliness")
            with self._app("bare", "bare", job, core=OTHER_CORE):
                yield proxy

    @contextmanager
    def _app(
        self, environment: str, module: str, job: PeerJob, *, core: int = SUBJECT_CORE
    ) -> Iterator[Subject]:
        path = self.bench.directory / f"{job.group}.json"
        job.write(path)
        with running(
            f"benchmarks.peers.apps.{module}",
            python=_python_of(environment),
            log=path.with_suffix(".log"),
            arguments=[str(path)],
            core=core,
        ) as subject:
            yield subject

    def _job(self, in_flight: int) -> PeerJob:
        return PeerJob(
            bootstrap_servers=self.bench.bootstrap_servers,
            group=f"peer-{uuid4()}",
            requests=self.topics.on_broker(TopicName.COMPARISON_REQUESTED),
            results=self.topics.on_broker(TopicName.COMPARISON_RESULT),
            in_flight=in_flight,
            base_url=self.provider.base_url,
            api_key=API_KEY,
            call=self.call,
        )


def locked_versions() -> dict[str, str]:
    """Give the versions of what the peers are made of, as their locks pin them."""
    wanted = {
        "litellm": ("litellm",),
        "faststream": ("faststream", "openai", "httpx"),
        "bare": ("aiokafka", "httpx-aiohttp"),
    }
    return {
        package: pinned(package, (_HERE / f"{lock}.lock").read_text(encoding="utf-8"))
        for lock, packages in wanted.items()
        for package in packages
    }


def pinned(package: str, lock: str) -> str:
    """Find the version of a package in the text of a lock file."""
    found = re.search(rf"^{re.escape(package)}==(\S+)", lock, re.MULTILINE)
    if found is None:
        raise ValueError(f"{package} is not in its lock file")
    return found[1]


def _python_of(environment: str) -> Path:
    return BUILT / environment / "bin" / "python"


def _wait_until_it_answers(subject: Subject, url: str) -> None:
    due_s = time.monotonic() + _LITELLM_START_S
    while True:
        subject.check()
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > due_s:
                raise TimeoutError(f"no answer from {url}; {subject.end_of_log()}") from None
            time.sleep(_POLL_S)
        else:
            return
