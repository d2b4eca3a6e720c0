"""A broker that demands TLS and a login, and allows nobody anything that is not granted."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from typing_extensions import override

from llm_worker.contracts.documents.flows import Party
from llm_worker.contracts.rights import Operation, group_of, rights_of
from llm_worker.dev.kafka import EmbeddedKafka
from llm_worker.dev.leashed import free_ports
from tests.support.certificates import Certificate, authority, certified

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from llm_worker.contracts.topics import TopicCatalog

_MODULES: Final = "org.apache.kafka.common.security"
_TOPIC, _GROUP = 2, 3
_LITERAL, _PREFIXED = 3, 4
_ALLOW: Final = 3
_CODES: Final = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_SCRAM_SHA_512: Final = 2
_ITERATIONS: Final = 4096


@dataclass(frozen=True, slots=True)
class Grant:
    """One right of one principal."""

    party: Party
    operation: str
    resource: str
    kind: int = _TOPIC
    pattern: int = _LITERAL

    def fields(self) -> tuple[int, str, int, str, str, int, int]:
        """Give it as the protocol has it."""
        principal, code = f"User:{self.party}", _CODES[self.operation]
        return (self.kind, self.resource, self.pattern, principal, "*", code, _ALLOW)


def documented(party: Party, catalog: TopicCatalog, group: str) -> list[Grant]:
    """Give what docs/security.md says that a party needs."""
    grants = [
        Grant(party, right.operation, catalog.on_broker(right.topic)) for right in rights_of(party)
    ]
    if party in {Party.WORKER, Party.ACCOUNTANT}:
        grants.append(Grant(party, Operation.READ, group_of(party, group), _GROUP))
    if party is Party.SUBSCRIBER:
        grants.append(Grant(party, Operation.READ, f"{group}-analytics", _GROUP))
    if party is Party.OPERATOR:
        grants += [
            Grant(party, operation, catalog.prefix, _TOPIC, _PREFIXED)
            for operation in ("Create", "Describe", "DescribeConfigs")
        ]
    return grants


@dataclass(frozen=True, slots=True)
class GuardedKafka:
    """The broker, where it is reached, and as whom.

    `open_servers` is for the test itself, which may do everything there.
    """

    open_servers: str
    login_port: int
    mutual_port: int
    directory: Path
    authority: Certificate

    def login(self, party: Party, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """Give the settings of a party that logs in with a password."""
        return _as_settings(
            bootstrap_servers=f"127.0.0.1:{self.login_port}",
            security_protocol="SASL_SSL",
            sasl_mechanism=mechanism,
            sasl_username=party,
            sasl_password=password_of(party),
            ssl_cafile=str(self.authority.certificate),
        )

    def certificate(self, party: Party) -> dict[str, str]:
        """Give the settings of a party that shows a certificate."""
        own = certified(self.directory, party, self.authority)
        return _as_settings(
            bootstrap_servers=f"127.0.0.1:{self.mutual_port}",
            security_protocol="SSL",
            ssl_cafile=str(self.authority.certificate),
            ssl_certfile=str(own.certificate),
            ssl_keyfile=str(own.key),
        )

    async def grant(self, grants: Iterable[Grant]) -> None:
        """Grant rights; on return they hold."""
        async with self._admin() as client:

            async def grant_one(grant: Grant) -> None:
                node = client.get_random_node()
                answer = await client.send(node, CreateAclsRequest(*grant.fields()))
                assert [code for code, _ in answer.creation_responses] == [0]
                request = DescribeAclsRequest(*grant.fields())
                while not (await client.send(node, request)).resources:  # noqa: ASYNC110 - another process has no event
                    await asyncio.sleep(0.02)

            await asyncio.gather(*map(grant_one, grants))

    async def revoke(self, grant: Grant) -> None:
        """Take a right back; it is gone a moment later."""
        async with self._admin() as client:
            request = DeleteAclsRequest(*grant.fields())
            answer = await client.send(client.get_random_node(), request)
            [found] = answer.filter_responses
            assert (found[0], len(found[2])) == (0, 1)

    async def add_users(self) -> None:
        """Let every party log in by SCRAM."""
        async with self._admin() as client:
            answer = await client.send(client.get_random_node(), _AddUsers())
            assert {each[1] for each in answer.results} == {0}, answer

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[Any]:
        client = AIOKafkaClient(bootstrap_servers=self.open_servers)
        await client.bootstrap()
        try:
            yield client
        finally:
            await client.close()


def password_of(party: Party) -> str:
    """Give a password that is found again wherever it is printed."""
    return f"Zwiebelfisch-{party}"


@contextmanager
def guarded_kafka(directory: Path) -> Iterator[GuardedKafka]:
    """Run it: without a login, with one over TLS (SCRAM-SHA-512, PLAIN), with a certificate."""
    directory.mkdir(exist_ok=True)
    ca = authority(directory)
    store = directory / "server-store.pem"
    store.write_text(certified(directory, "server", ca).together)
    plain, login, mutual, controller = free_ports(4)
    users = " ".join(f'user_{party}="{password_of(party)}"' for party in Party)
    properties = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},LOGIN://127.0.0.1:{login},"
        f"MUTUAL://127.0.0.1:{mutual},CONTROLLER://127.0.0.1:{controller}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,LOGIN:SASL_SSL,MUTUAL:SSL,"
        "CONTROLLER:PLAINTEXT",
        "listener.name.login.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "listener.name.login.plain.sasl.jaas.config": f"{_MODULES}.plain.PlainLoginModule "
        f"required {users};",
        "listener.name.login.scram-sha-512.sasl.jaas.config": f"{_MODULES}.scram."
        "ScramLoginModule required;",
        "listener.name.mutual.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ca.certificate),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with EmbeddedKafka(directory / "broker", port=plain, properties=properties) as kafka:
        yield GuardedKafka(kafka.bootstrap_servers, login, mutual, directory, ca)


def _as_settings(**kafka: str) -> dict[str, str]:
    return {f"LLM_WORKER_KAFKA__{name.upper()}": value for name, value in kafka.items()}


class _UsersAdded(Response):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _UsersToAdd(RequestStruct):  # type: ignore[misc] # aiokafka ships no types
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _UsersAdded
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(
                ("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)
            ),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AddUsers(Request[_UsersToAdd]):  # type: ignore[misc] # aiokafka ships no types
    """AlterUserScramCredentials (KIP-554), which aiokafka cannot send."""

    API_KEY = 51

    @override
    def build(self, request_struct_class: type[_UsersToAdd]) -> _UsersToAdd:
        users: list[tuple[object, ...]] = []
        for party in Party:
            salt = party.encode()
            salted = hashlib.pbkdf2_hmac("sha512", password_of(party).encode(), salt, _ITERATIONS)
            users.append((party.value, _SCRAM_SHA_512, _ITERATIONS, salt, salted, {}))
        return request_struct_class([], users, {})
