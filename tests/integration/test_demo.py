from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from llm_worker.dev.fake_providers.process import FakeProviders
from llm_worker.dev.samples import load_essays

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ESSAYS = 12
TIMEOUT_S = 170
REAL_MODELS = {"claude-haiku-5-5", "gpt-6-luna", "gemini-3.8-flash"}
MOMENTS = {
    "Kafka starts": "starting Apache Kafka",
    "the worker starts": "starting the worker",
    "essays are compared": "comparing 66 pairs",
}


BROWSER = """
import pathlib, sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as page:
    pathlib.Path(sys.argv[2]).write_bytes(page.read())
"""


@contextmanager
def running(directory: Path, *words: str, **environment: str) -> Iterator[psutil.Popen]:
    """A demo with a directory of its own for temporary files."""
    with psutil.Popen(
        [sys.executable, "-m", "llm_worker", "demo", *words],
        cwd=directory,
        env={
            "TMPDIR": str(directory),
            "LLM_WORKER_KAFKA__TOPIC_PREFIX": "somebody-elses.",
            **environment,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture
def demo(tmp_path: Path, fast_brokers: dict[str, str]) -> Iterator[psutil.Popen]:
    with running(tmp_path, **fast_brokers) as demo:
        yield demo


def test_demo_ranks_the_essays_and_leaves_nothing_behind(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, fast_brokers: dict[str, str]
) -> None:
    script = tmp_path_factory.mktemp("browser") / "browser.py"
    script.write_text(BROWSER, "utf-8")
    page = script.with_suffix(".html")

    browser = f"{sys.executable} {script} %s {page}"
    with running(tmp_path, "--open", BROWSER=browser, **fast_brokers) as demo:
        seen = watch_until(demo, MOMENTS["essays are compared"])
        shown, _ = demo.communicate(timeout=TIMEOUT_S)

    assert demo.returncode == 0
    assert "<title>" in page.read_text("utf-8")
    assert all(f" {place} " in shown for place in range(1, ESSAYS + 1))
    assert shown.count("●") == ESSAYS
    assert "of 66, by 95 % intervals" in shown
    assert shown.count("to win once more") == 5
    assert shown.count("of 5: Essay") == 3
    assert "verdicts, " in shown
    assert "USD 0: the mock is free" in shown
    [real] = re.findall(r"^The same tokens would have cost .+$", shown, re.MULTILINE)
    costs = {model: usd for usd, model in re.findall(r"USD ([\d.]+) with ([\w.-]+\w)", real)}
    assert costs.keys() == REAL_MODELS
    assert all(float(usd) > 0 for usd in costs.values())
    assert "compare A.txt B.txt" in shown
    assert_gone(seen, tmp_path)


@pytest.mark.parametrize(
    ("moment", "end"),
    [*((moment, signal.SIGINT) for moment in MOMENTS), ("the worker starts", signal.SIGTERM)],
)
def test_stopped_demo_is_done_and_leaves_nothing_behind(
    demo: psutil.Popen, tmp_path: Path, moment: str, end: signal.Signals
) -> None:
    seen = watch_until(demo, MOMENTS[moment])

    demo.send_signal(end)
    _, said = demo.communicate(timeout=TIMEOUT_S)

    assert demo.returncode == 0
    assert said.rstrip().endswith("stopped")
    assert "Traceback" not in said
    assert_gone(seen, tmp_path)


def test_killed_demo_on_own_essays_and_a_provider_takes_its_processes_along(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, fast_brokers: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("my essays")
    for essay in load_essays()[:3]:
        (folder / f"{essay.name}.md").write_text(essay.text, "utf-8")
    words = ["--essays", str(folder), "--provider", "openai", "--keep"]
    with (
        FakeProviders(tmp_path_factory.mktemp("fakes")) as fakes,
        running(tmp_path, *words, **fakes.environment, **fast_brokers) as demo,
    ):
        demo.stdin.write("y\n")
        demo.stdin.flush()
        seen = watch_until(demo, "the page stays until Ctrl-C")
        assert any("worker" in process.cmdline() for process in seen)

        demo.kill()
        shown = demo.stdout.read()

    assert "Ranking by gpt-6-luna" in shown
    assert "3 verdicts, none failed" in shown
    deadline = time.monotonic() + TIMEOUT_S
    while any(is_alive(process) for process in seen):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)


def watch_until(demo: psutil.Popen, line: str) -> list[psutil.Process]:
    """Wait for a line on stderr; give the processes that the demo has by then."""
    for said in demo.stderr:
        if line in said:
            break
    else:
        raise AssertionError(f"the demo ended without {line!r}")
    deadline = time.monotonic() + TIMEOUT_S
    while not (children := demo.children(recursive=True)):
        assert time.monotonic() < deadline, "it has started no process"
        time.sleep(0.01)
    return list(children)


def assert_gone(seen: list[psutil.Process], temporary: Path) -> None:
    assert seen
    assert [process for process in seen if is_alive(process)] == []
    assert list(temporary.iterdir()) == []


def is_alive(process: psutil.Process) -> bool:
    try:
        # A zombie is dead; in a container there may be nobody to reap it.
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
