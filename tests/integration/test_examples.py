"""The programs in examples/, each as a person runs it, beside a worker and an accountant."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typing_extensions import override

from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.samples import load_essays, load_prompt
from tests.support.wire import read_event
from tests.support.worker import Installation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_worker.dev.kafka import EmbeddedKafka

    Taken = list[tuple[str, dict[str, Any]]]

EXAMPLES = Path(__file__).parents[2] / "examples"
REPLY_TOPIC = "huleedu.cj_example.results.v1"
PATIENCE_S = 120
ROUNDS = 4
ALERTS = 3
SETTINGS = {
    # Some requests fail, each costs a few cents, and the day's budget is soon spent.
    "LLM_WORKER_RETRY__ATTEMPTS": "1",
    "LLM_WORKER_PROVIDERS__MOCK__ERROR_RATE": "0.2",
    "LLM_WORKER_PROVIDERS__MOCK__INPUT_USD_PER_MTOK": "100",
    "LLM_WORKER_BUDGET__DAILY_USD": "0.5",
}


def command(example: str, *words: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / example), *words]


def run(example: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        command(example, *words), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


@pytest.fixture(scope="module")
def site(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Topics under their default names, as the examples know them."""
    directory = tmp_path_factory.mktemp("site")
    site = Installation(kafka.bootstrap_servers, directory, prefix="", settings=SETTINGS)
    asyncio.run(site.create())
    asyncio.run(site.create_topic(REPLY_TOPIC))
    processes = [site.launch(), site.launch("accountant")]
    try:
        for process in processes:
            asyncio.run(process.until_ready())
        yield site
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("essays")
    (folder / "prompt.txt").write_text(load_prompt(), "utf-8")
    for essay in load_essays():
        (folder / f"{essay.name}.txt").write_text(essay.text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def cj_words(site: Installation, folder: Path) -> list[str]:
    words = [str(folder), "--kafka", site.bootstrap_servers, "--rounds", str(ROUNDS)]
    return [*words, "--reply-topic", REPLY_TOPIC]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cj") / "journal.jsonl"


@pytest.fixture(scope="module")
def assessed(cj_words: list[str], journal: Path) -> str:
    """What the judging service prints; its requests are what the other examples read about."""
    done = run("cj_service.py", *cj_words, "--journal", str(journal))
    assert done.returncode == 0, done.stderr
    return done.stdout


def events(site: Installation, name: TopicName, at_least: int) -> dict[str, dict[str, Any]]:
    """Read events by their ids, those that replace others in their place."""
    topic = site.topic(name)
    records = asyncio.run(site.read(topic, until=lambda records: len(records) >= at_least))
    envelopes = map(read_event, (record.value for record in records))
    return {envelope["event_id"]: envelope["data"] for envelope in envelopes}


def all_events(site: Installation, name: TopicName) -> dict[str, dict[str, Any]]:
    ends = asyncio.run(site.ends(site.topic(name)))
    return events(site, name, sum(ends.values()))


def test_judging_service_ranks_all_and_asks_failed_pairs_again(
    assessed: str, journal: Path
) -> None:
    results = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    *rounds_and_ranking, last = assessed.splitlines()
    ranking = [line.split() for line in rounds_and_ranking[ROUNDS:]]

    assert [line.split()[1] for line in rounds_and_ranking[:ROUNDS]] == ["1:", "2:", "3:", "4:"]
    assert {name for _, name, _ in ranking} == {essay.name for essay in load_essays()}
    scores = [float(score) for *_, score in ranking]
    assert scores == sorted(scores, reverse=True)
    failed = [result for result in results if result["error_detail"]]
    assert failed
    assert f"{len(failed)} errors so far" in rounds_and_ranking[ROUNDS - 1]
    assert "pairs agreed" in last
    pairs = {frozenset(pair_of(result)) for result in results}
    assert len(results) > len(pairs), "a share is asked in both orders"


def pair_of(result: dict[str, Any]) -> tuple[str, str]:
    about = result["request_metadata"]
    return about["Essay A"], about["Essay B"]


def test_judging_service_goes_on_from_its_journal_and_buys_nothing_twice(
    assessed: str, site: Installation, cj_words: list[str], journal: Path, tmp_path: Path
) -> None:
    bought = all_events(site, TopicName.COST_TRACKING).keys()
    lines = journal.read_bytes().splitlines(keepends=True)
    cut = tmp_path / "journal.jsonl"
    cut.write_bytes(b"".join(lines[: len(lines) // 2]) + lines[-1][:20])

    again = run("cj_service.py", *cj_words, "--journal", str(cut))

    assert again.stdout == assessed, again.stderr
    assert sorted(cut.read_bytes().splitlines()) == sorted(journal.read_bytes().splitlines())
    assert all_events(site, TopicName.COST_TRACKING).keys() == bought


def test_broker_that_does_not_answer_is_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    words = ["--kafka", "127.0.0.1:1", "--journal", str(tmp_path / "journal.jsonl")]

    done = run("cj_service.py", str(folder), *words)

    assert done.returncode == 1
    assert done.stderr.startswith("no Kafka broker answers at 127.0.0.1:1")
    assert len(done.stderr.splitlines()) == 1


def rows_of(out: Path, table: str) -> dict[str, dict[str, Any]]:
    files = (out / table).glob("*.parquet")
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len({row["event_id"] for row in rows}) == len(rows), "a row is doubled"
    return {row["event_id"]: row for row in rows}


def has_committed_all(site: Installation, group: str) -> bool:
    topics = (site.topic(name) for name in (TopicName.COST_TRACKING, TopicName.REQUEST_COMPLETED))
    ends = asyncio.run(site.ends(*topics))
    committed = asyncio.run(site.committed(group))
    return all(committed.get(at) == end for at, end in ends.items() if end)


@pytest.fixture(scope="module")
def spent(assessed: str, site: Installation) -> dict[str, Decimal | None]:
    """What each cost event says."""
    assert assessed
    return {
        event_id: Decimal(str(data["cost_estimate_usd"])) if data["cost_known"] else None
        for event_id, data in all_events(site, TopicName.COST_TRACKING).items()
    }


@pytest.fixture(scope="module")
def requests(assessed: str, site: Installation) -> set[str]:
    """The ids of what is told of each request."""
    assert assessed
    return set(all_events(site, TopicName.REQUEST_COMPLETED))


@pytest.fixture(scope="module")
def analytics(
    site: Installation,
    spent: dict[str, Decimal | None],
    requests: set[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder of a run that was killed with some rows still in its spool, and of the next run."""
    out = tmp_path_factory.mktemp("analytics")
    words = ["--kafka", site.bootstrap_servers, "--out", str(out), "--group", "kept"]
    every = str(len(spent) + len(requests) - 3)
    with subprocess.Popen(  # noqa: S603 - our own program
        command("analytics_to_parquet.py", *words, "--every", every)
    ) as first:
        wait_until(lambda: has_committed_all(site, "kept"))
        first.kill()
    assert len((out / "spool.jsonl").read_text("utf-8").splitlines()) == 3

    done = run("analytics_to_parquet.py", *words, "--until-idle", "1")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"costs: {len(spent)} rows",
        f"requests: {len(requests)} rows",
    ]
    return out


def test_analytics_lose_nothing_when_they_are_killed_and_keep_money_exact(
    analytics: Path, spent: dict[str, Decimal | None], requests: set[str]
) -> None:
    costs, asked = rows_of(analytics, "costs"), rows_of(analytics, "requests")

    assert {event_id: row["usd"] for event_id, row in costs.items()} == spent
    assert asked.keys() == requests
    file = next((analytics / "costs").glob("*.parquet"))
    assert pq.read_schema(file).field("usd").type == pa.decimal128(20, 12)
    assert {row["organization_id"] for row in costs.values()} == {"school-7"}
    assert {row["outcome"] for row in asked.values()} == {"success", "failure"}
    assert (analytics / "spend.png").read_bytes().startswith(b"\x89PNG")


def test_analytics_double_nothing_that_comes_again_and_end_well_with_ctrl_c(
    analytics: Path, site: Installation
) -> None:
    before = rows_of(analytics, "costs"), rows_of(analytics, "requests")
    words = ["--kafka", site.bootstrap_servers, "--out", str(analytics), "--group", "again"]

    with subprocess.Popen(  # noqa: S603 - our own program
        command("analytics_to_parquet.py", *words), stdout=subprocess.PIPE, text=True
    ) as again:
        wait_until(lambda: has_committed_all(site, "again"))
        again.send_signal(signal.SIGINT)
        shown, _ = again.communicate(timeout=PATIENCE_S)

    assert again.returncode == 0
    assert shown.startswith("stopped\n")
    assert (rows_of(analytics, "costs"), rows_of(analytics, "requests")) == before
    assert not (analytics / "spool.jsonl").exists()


class Webhook(BaseHTTPRequestHandler):
    """Answers with the statuses in turn, the last one from then on; 0 breaks the connection."""

    statuses: ClassVar[list[int]]
    taken: ClassVar[Taken]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            self.close_connection = True
            return
        if status == 200:
            self.taken.append((self.headers["Idempotency-Key"], body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def webhook(monkeypatch: pytest.MonkeyPatch, *answers: int) -> Iterator[Taken]:
    """A webhook that the example will find; gives what it has taken."""

    class Answering(Webhook):
        statuses: ClassVar[list[int]] = list(answers)
        taken: ClassVar[Taken] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        monkeypatch.setenv("WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/secret")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield Answering.taken
        server.shutdown()
        serving.join()


@pytest.mark.usefixtures("assessed")
def test_alerts_reach_a_webhook_that_fails_at_first(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = events(site, TopicName.COST_ALERT, ALERTS)
    words = ["--kafka", site.bootstrap_servers, "--group", uuid4().hex, "--until-idle", "6"]

    with webhook(monkeypatch, 503, 0, 429, 200) as taken:
        done = run("budget_alert_webhook.py", *words)

    assert done.returncode == 0, done.stderr
    assert [event_id for event_id, _ in taken] == list(alerts)
    first, *_ = alerts.values()
    text = f"LLM spend of all together in {first['period']}: USD {first['current_cost']:.2f}, 50%"
    assert taken[0][1]["text"].startswith(text)
    [section] = taken[0][1]["blocks"]
    assert {"type": "mrkdwn", "text": "*Threshold*\nUSD 0.25"} in section["fields"]
    told = done.stdout.splitlines()
    assert told[0] == "the webhook answers HTTP 503; trying again"
    assert told[1].startswith("the webhook cannot be reached")
    assert len(told) == 3 + len(alerts)
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.usefixtures("assessed")
def test_alert_that_a_webhook_refuses_comes_again_after_the_next_start(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = events(site, TopicName.COST_ALERT, ALERTS)
    words = ["--kafka", site.bootstrap_servers, "--group", uuid4().hex, "--until-idle", "6"]

    with webhook(monkeypatch, 200, 404):
        refused = run("budget_alert_webhook.py", *words)
    with webhook(monkeypatch, 200) as taken:
        done = run("budget_alert_webhook.py", *words)

    assert refused.returncode == 1
    assert refused.stderr == "the webhook refuses, HTTP 404: check WEBHOOK_URL\n"
    assert done.returncode == 0, done.stderr
    assert [event_id for event_id, _ in taken] == list(alerts)[1:]
