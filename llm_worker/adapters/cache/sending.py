"""One batch of commands to Redis and their answers: on one connection, or over a cluster."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

import hiredis
from redis.asyncio import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from llm_worker.adapters.cache.connect import MAX_CONNECTIONS, disconnect

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from redis.asyncio import ConnectionPool, Redis
    from redis.asyncio.connection import AbstractConnection

    from llm_worker.adapters.cache.script import Script

Word: TypeAlias = bytes | str | int
_T = TypeVar("_T")

_CONNECT_LIMIT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is sent; with `script` it is an EVALSHA of that."""

    words: tuple[Word, ...]
    script: Script | None = None

    def with_text(self) -> Command:
        """Give the same call with the script's whole text, for a Redis that does not know it."""
        text = self.script.text if self.script else ""
        return Command(words=("EVAL", text, *self.words[2:]))


class Sender(Protocol):
    """Sends a batch. Nothing here has a time limit of its own: whoever waits cancels."""

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Give each command's answer, or the error that it met.

        Raises:
            RedisError, RedisClusterException, OSError: Nothing is known of any of them.
        """

    async def aclose(self) -> None:
        """Close what was opened."""


def sender_for(client: Redis | RedisCluster) -> Sender:
    """Give what suits the client."""
    return ClusterSender(client) if isinstance(client, RedisCluster) else PipelineSender(client)


class PipelineSender:
    """All commands of a batch in one write, their answers in one go.

    Works on redis-py's connections: its Pipeline objects cost more than all the rest.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._pool = client.connection_pool
        self._background = _Background()
        # Not given back between batches: the pool's own ways take longer than a command.
        self._idle: list[AbstractConnection] = []

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """See Sender."""
        if self._idle:
            try:
                return await self._send_on(self._idle.pop(), commands)
            except (OSError, RedisConnectionError):
                # It was cut while nobody asked, and so may the others; scripts may run twice.
                await self._forget_idle()
        return await self._send_on(await self._connection(), commands)

    async def _send_on(
        self, connection: AbstractConnection, commands: Sequence[Command]
    ) -> list[Any]:
        try:
            return await _answers(connection, commands)
        finally:
            if connection.is_connected:
                self._idle.append(connection)
            else:
                await self._pool.release(connection)

    async def aclose(self) -> None:
        """See Sender."""
        await self._background.aclose()
        await disconnect(self._client)

    async def _forget_idle(self) -> None:
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.disconnect(nowait=True)
            finally:  # whoever waits may give up: what is not released is lost to the pool
                await self._pool.release(connection)

    async def _connection(self) -> AbstractConnection:
        opening = self._background.start(_opened(self._pool))
        try:
            # Whoever cannot wait leaves it to those who come later. Otherwise a Redis that takes
            # longer to connect (TLS, another region) than to answer would never be reached.
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._give_back)
            raise

    def _give_back(self, opening: asyncio.Task[AbstractConnection]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._background.start(self._pool.release(opening.result()))


class ClusterSender:
    """Each command to its key's node, all at once: cluster pipelines refuse EVALSHA."""

    def __init__(self, client: RedisCluster) -> None:
        self._client = client
        self._background = _Background()
        # Each takes a connection of its own; the client fails the one for which there is none.
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """See Sender."""
        await asyncio.shield(self._background.start(self._client.initialize()))
        return await asyncio.gather(*map(self._answer, commands), return_exceptions=True)

    async def aclose(self) -> None:
        """See Sender."""
        await self._background.aclose()
        await disconnect(self._client)

    async def _answer(self, command: Command) -> Any:  # noqa: ANN401 - Redis answers anything
        async with self._free:
            try:
                return await self._client.execute_command(*command.words)
            except NoScriptError:
                return await self._client.execute_command(*command.with_text().words)


class _Background:
    """Work on connections that goes on when the batch which began it is given up."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(_limited(work))  # noqa: TID251 -- owned by this set
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _opened(pool: ConnectionPool) -> AbstractConnection:
    connection: AbstractConnection = await pool.get_connection()  # type: ignore[no-untyped-call] # redis-py has no types here
    return connection


async def _limited(work: Coroutine[Any, Any, _T]) -> _T:
    async with asyncio.timeout(_CONNECT_LIMIT_S):
        return await work


async def _answers(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    answers = await _exchange(connection, commands)
    unknown = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        texts = await _exchange(connection, [commands[n].with_text() for n in unknown])
        for n, answer in zip(unknown, texts, strict=True):
            answers[n] = answer
    if any(isinstance(answer, ReadOnlyError) for answer in answers):
        # A failover has made a replica of it; the address may lead to another server now.
        await connection.disconnect()
    return answers


async def _exchange(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    # Several times as fast as the connection's own.
    packed = [hiredis.pack_command(command.words) for command in commands]  # type: ignore[arg-type] # its stub means any number of words
    await connection.send_packed_command(packed)
    return [await _answer(connection) for _ in commands]


async def _answer(connection: AbstractConnection) -> Any:  # noqa: ANN401 - Redis answers anything
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
