"""Apache Kafka itself, one node or a cluster, as child processes: the broker of `dev` and tests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from llm_worker.dev.kafka_node import Node, java_command, server_properties
from llm_worker.dev.leashed import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from llm_worker.dev.leashed import LeashedProcess

_logger = logging.getLogger(__name__)

_FORMAT_TIMEOUT_S = 60.0
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 10.0
_STARTED = "Kafka Server started"  # logged once the node is unfenced and serves clients


class EmbeddedKafka:
    """A Kafka cluster on the loopback interface, without authentication. Its methods block.

    The records live in `directory` and survive a kill: another `EmbeddedKafka` with as many
    nodes on the same directory goes on with them. No node outlives this process.

    Every method that starts nodes raises `EmbeddedServerError`, with the end of the log, if one
    cannot be installed or does not come up; none of those that it started runs then.

    Args:
        directory: The caller's; created if need be, never removed.
        port: Of the first node's client listener; a free one if not given.
        nodes: How many, each broker and controller. Internal topics have a replica on each.
        properties: Laid over the server.properties of every node.
        report: Told about the download of the jars, the first time on a machine.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        nodes: int = 1,
        properties: Mapping[str, str] = {},
        report: Callable[[str], None] = _logger.info,
    ) -> None:
        self.directory = directory.absolute()
        ports = free_ports(2 * nodes)
        self._nodes = [
            Node(
                number=number,
                directory=self.directory / f"kafka-{number}",
                port=port if port and number == 0 else ports[number],
                controller_port=ports[nodes + number],
            )
            for number in range(nodes)
        ]
        self._extra_properties = dict(properties)
        self._report = report
        self._processes: dict[int, LeashedProcess] = {}

    @property
    def bootstrap_servers(self) -> str:
        """All nodes, running or not, comma-separated."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self._nodes)

    def start(self) -> None:
        """Start every node that does not run; they serve clients on return."""
        self._start([node for node in self._nodes if not self.is_running(node.number)])

    def stop(self, node: int | None = None) -> None:
        """Stop a node, or every one that runs, in good order if that does not take long."""
        self._stop(self._nodes if node is None else [self._nodes[node]])

    def kill(self, node: int = 0) -> None:
        """Kill a node (SIGKILL), counted from 0; it is gone on return."""
        self._kill([self._nodes[node]])

    def restart(self, node: int = 0) -> None:
        """Start a node again on its directory and ports, stopping it first if it runs."""
        self._stop([self._nodes[node]])
        self._start([self._nodes[node]])

    def is_running(self, node: int = 0) -> bool:
        """Say whether a node runs; one whose disk is full, say, ends by itself."""
        process = self._processes.get(node)
        return process is not None and process.is_running

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, nodes: Sequence[Node]) -> None:
        heap_mb = 512 if len(self._nodes) == 1 else 256
        java = java_command(heap_mb=heap_mb, report=self._report)
        self._kill(nodes)
        try:
            self._prepare(nodes, java)
            for node in nodes:
                self._processes[node.number] = node.launch(java)
            for node in nodes:
                process = self._processes[node.number]
                process.wait_until_logged(_STARTED, timeout_s=_START_TIMEOUT_S)
        except BaseException:
            self._kill(nodes)
            raise

    def _prepare(self, nodes: Sequence[Node], java: Sequence[str]) -> None:
        for node in nodes:
            node.configure(server_properties(node, self._nodes) | self._extra_properties)
        new_nodes = [node for node in nodes if not node.is_formatted]
        for node in new_nodes:
            self._processes[node.number] = node.format(java)
        for node in new_nodes:
            self._processes[node.number].wait(timeout_s=_FORMAT_TIMEOUT_S)

    def _stop(self, nodes: Sequence[Node]) -> None:
        processes = self._take(nodes)
        for process in processes:
            process.terminate()
        for process in processes:
            process.stop(timeout_s=_STOP_TIMEOUT_S)

    def _kill(self, nodes: Sequence[Node]) -> None:
        for process in self._take(nodes):
            process.kill()

    def _take(self, nodes: Sequence[Node]) -> list[LeashedProcess]:
        numbers = [node.number for node in nodes if node.number in self._processes]
        return [self._processes.pop(number) for number in numbers]
