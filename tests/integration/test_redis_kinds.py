"""Every kind of Redis that an address can lead to: a cluster, a Sentinel's master, TLS."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.cache import script
from llm_worker.adapters.cache.connect import RedisAddress, connect
from llm_worker.adapters.cache.link import CacheAwayError
from llm_worker.adapters.cache.probe import CacheUnreachableError, read_state
from llm_worker.adapters.cache.script import load_script
from llm_worker.dev.leashed import free_ports
from tests.support.fake_redis import SeenByLink
from tests.support.redis_links import (
    BROKEN,
    HURRIED_S,
    PATIENT_S,
    SECRET,
    fails,
    linked,
    works,
    works_again,
)
from tests.support.redis_servers import RedisServer, redis_command, valkey_command

if TYPE_CHECKING:
    from collections.abc import Callable

_SCRIPTS = Path(script.__file__).with_name("scripts")
_FAILOVER_WITHIN_S = 30.0


async def test_cluster_is_asked_like_one_server(cluster: RedisServer) -> None:
    address = RedisAddress(url=cluster.url, is_cluster=True)
    await read_state(address, PATIENT_S)
    seen = SeenByLink()
    async with linked(address, seen) as link:
        await works(link)
        assert await link.command("GET", "key-7") == b"value 7"
        cluster.ask("SCRIPT", "FLUSH")
        await works(link)
        assert set(seen.errors) == {None}
        with pytest.raises(CacheAwayError, match="script"):
            await link.run(BROKEN, ["key-7"], 1)


async def test_cluster_that_hangs_or_is_gone_is_found_again(cluster: RedisServer) -> None:
    async with linked(RedisAddress(url=cluster.url, is_cluster=True), budget_s=HURRIED_S) as link:
        await works_again(link)
        cluster.freeze()
        assert set(await fails(link)) == {"Redis failed: timeout"}
        cluster.thaw()
        await works_again(link)
        cluster.kill()
        await fails(link)
        cluster.start()
        await works_again(link)


def _sentinel(directory: Path, command: list[str], master: RedisServer) -> RedisServer:
    [port] = free_ports(1)
    directory.mkdir()
    configuration = directory / "sentinel.conf"
    configuration.write_text(
        f"port {port}\n"
        f"sentinel monitor mymaster 127.0.0.1 {master.port} 1\n"
        f"sentinel auth-pass mymaster {SECRET}\n"
        "sentinel down-after-milliseconds mymaster 300\n"
        "sentinel failover-timeout mymaster 2000\n"
    )
    return RedisServer(
        directory, [*command, str(configuration)], "--sentinel", port=port, ready="+monitor"
    )


@pytest.mark.parametrize("command", [redis_command, valkey_command], ids=["redis", "valkey"])
async def test_link_follows_a_failover_that_the_sentinels_make(
    tmp_path: Path, command: Callable[[], list[str]]
) -> None:
    login = ("--requirepass", SECRET, "--masterauth", SECRET)
    first = RedisServer(tmp_path / "first", command(), *login)
    second = RedisServer(
        tmp_path / "second", command(), *login, "--replicaof", f"127.0.0.1 {first.port}"
    )
    first.password = second.password = SECRET
    sentinel = _sentinel(tmp_path / "sentinel", command(), first)
    [nobody] = free_ports(1)
    address = RedisAddress(
        url=f"redis://:{SECRET}@ignored:1/2",
        sentinels=(f"127.0.0.1:{nobody}", f"127.0.0.1:{sentinel.port}"),
    )
    with first, second, sentinel:
        await _until(lambda: sentinel.ask("SENTINEL", "REPLICAS", "mymaster"))
        await read_state(address, PATIENT_S)
        async with linked(address) as link:
            await works(link)
            first.kill()
            await fails(link)
            await works_again(link)
            assert second.ask("ROLE")[0] == b"master"


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(_FAILOVER_WITHIN_S):
        while not holds():  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that it has signed itself, beside its `key.pem`."""
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(  # noqa: S603 - our own command
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "key.pem", "-out", "certificate.pem"),
        ],
        cwd=directory,
        check=True,
        capture_output=True,
        timeout=60,
    )
    return directory / "certificate.pem"


async def test_tls_is_verified_and_works_again_after_a_restart(
    tmp_path: Path, certificate: Path
) -> None:
    [port] = free_ports(1)
    server = RedisServer(
        tmp_path / "server",
        redis_command(),
        *("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"),
        *(
            "--tls-cert-file",
            str(certificate),
            "--tls-key-file",
            str(certificate.with_name("key.pem")),
        ),
        *("--tls-ca-cert-file", str(certificate)),
        port=port,
    )
    unverified = f"rediss://127.0.0.1:{port}/0"
    with server:
        async with linked(unverified) as link:
            assert set(await fails(link)) == {"Redis failed: connection"}
        async with linked(f"{unverified}?ssl_ca_certs={certificate}") as link:
            await works(link)
            server.kill()
            await fails(link)
            server.start()
            await works_again(link)


def test_scripts_that_ship_are_known_to_redis_by_our_sha(redis_server: RedisServer) -> None:
    names = [path.stem for path in _SCRIPTS.glob("*.lua")]
    assert names
    for shipped in map(load_script, names):
        assert redis_server.ask("SCRIPT", "LOAD", shipped.text) == shipped.sha.encode()


@pytest.mark.parametrize(
    "address",
    [
        RedisAddress(url=f"redis://:{SECRET}/3@127.0.0.1:6379/0"),
        RedisAddress(url=f"http://:{SECRET}@127.0.0.1"),
        RedisAddress(url=f"redis://:{SECRET}@127.0.0.1?{SECRET}=1"),
        RedisAddress(url=f"redis://:{SECRET}@127.0.0.1?socket_timeout={SECRET}"),
        RedisAddress(url=f"redis://:{SECRET}@127.0.0.1/7", is_cluster=True),
        RedisAddress(url=f"redis://:{SECRET}@127.0.0.1/?{SECRET}=1", sentinels=("a:1",)),
    ],
    ids=["port", "scheme", "option", "value", "cluster", "sentinel"],
)
async def test_address_that_cannot_be_used_is_told_without_its_secret(
    address: RedisAddress,
) -> None:
    with pytest.raises(ValueError, match="its URL is not like") as raised:
        connect(address, budget_s=1)
    assert raised.value.__suppress_context__
    assert SECRET not in f"{raised.value} {address!r}"
    with pytest.raises(CacheUnreachableError, match="its URL is not like"):
        await read_state(address, 1)
