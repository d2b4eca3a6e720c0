from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from llm_worker.contracts.topics import load_topics
from llm_worker.dev.leashed import EmbeddedServerError
from llm_worker.dev.stack import LocalStack

if TYPE_CHECKING:
    from pathlib import Path


def test_worker_that_does_not_start_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    stack = LocalStack(
        tmp_path,
        catalog=load_topics(),
        environment={"LLM_WORKER_NONSENSE": "1"},
        inherit_environment=False,
    )

    with pytest.raises(EmbeddedServerError, match=r"(?s)worker ended.*LLM_WORKER_NONSENSE"):
        stack.__enter__()

    assert set(psutil.Process().children(recursive=True)) == before


def test_accountant_that_does_not_start_is_an_error_with_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    before = set(psutil.Process().children(recursive=True))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stack = LocalStack(
            tmp_path,
            catalog=load_topics(),
            environment={
                "LLM_WORKER_USE_MOCK_LLM": "true",
                "LLM_WORKER_WEB__ACCOUNTANT_PORT": str(taken.getsockname()[1]),
            },
            inherit_environment=False,
            with_accountant=True,
        )

        with pytest.raises(EmbeddedServerError, match=r"(?s)accountant ended.*PORT"):
            stack.__enter__()

    assert set(psutil.Process().children(recursive=True)) == before


def test_process_that_has_ended_since_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with LocalStack(
        tmp_path,
        catalog=load_topics(),
        environment={"LLM_WORKER_USE_MOCK_LLM": "true"},
        inherit_environment=False,
    ) as stack:
        stack.require_running()
        *_, worker = [  # behind its leash
            each
            for each in psutil.Process().children(recursive=True)
            if each.cmdline()[-3:] == ["-m", "llm_worker", "worker"]
        ]
        worker.kill()
        worker.wait()
        while _is_running(stack):
            time.sleep(0.01)  # until its leash has seen it, too
        with pytest.raises(EmbeddedServerError, match=r"worker ended; the end of its log"):
            stack.require_running()


def _is_running(stack: LocalStack) -> bool:
    return all(process.is_running for process in stack._processes)
