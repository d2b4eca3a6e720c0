"""What `make bench-peers` makes of its runs, and that its locks can be installed anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from benchmarks.peers.apps.job import PeerJob, result_of
from benchmarks.peers.figures import Figures, Run
from benchmarks.peers.peers import PROMISES, Peer, locked_versions, pinned
from benchmarks.peers.plot import draw
from benchmarks.window import Window

_LOCKS = sorted((Path(__file__).parents[2] / "benchmarks" / "peers").glob("*.lock"))


def run_of(peer: Peer, cpu_us: float, *, round_number: int = 0) -> Run:
    window = Window(comparisons=1_000, cpu_s=cpu_us / 1_000, elapsed_s=2.0, slowness=1.0)
    return Run(peer=peer, in_flight=50, round_number=round_number, window=window, peak_mb=90.0)


def rounds(ours: float, litellm: float, others: float) -> Figures:
    costs = dict.fromkeys(Peer, others) | {Peer.OURS: ours, Peer.LITELLM: litellm}
    return Figures([run_of(peer, us) for peer, us in costs.items()])


def test_comparisons_of_one_core_follow_from_the_cpu_of_each() -> None:
    assert run_of(Peer.OURS, 500).per_core_s == pytest.approx(2_000)


def test_a_core_that_is_slow_for_a_round_leaves_the_ratio_as_it_was() -> None:
    figures = Figures(
        [
            run_of(peer, us * slow, round_number=number)
            for number, slow in enumerate((1.0, 1.7, 1.1))
            for peer, us in ((Peer.OURS, 1_000), (Peer.LITELLM, 12_000))
        ]
    )

    assert figures.times(Peer.OURS, Peer.LITELLM, 50) == pytest.approx(12)


def test_a_goal_that_is_not_reached_is_called_missed() -> None:
    remarks = "\n".join(rounds(1_000, 9_900, 4_000).section().remarks)

    assert "llm-worker, Redis at least 10 times LiteLLM proxy: **missed**, 9.9" in remarks
    assert "llm-worker, Redis at least 4 times FastStream, httpx: reached, 4.0" in remarks


def test_every_peer_has_its_row_and_its_promise() -> None:
    rows = rounds(1_000, 9_900, 4_000).section().rows

    assert [row[""] for row in rows] == list(Peer)
    assert set(PROMISES) == set(Peer)


def test_picture_names_every_peer(tmp_path: Path) -> None:
    draw(rounds(1_000, 9_900, 4_000), tmp_path / "peers.svg", in_flight=50)

    picture = (tmp_path / "peers.svg").read_text(encoding="utf-8")
    assert all(peer in picture for peer in Peer)


def test_call_of_a_peer_is_ours_with_its_own_essays() -> None:
    call = {"model": "m", "messages": [{"role": "system"}, {"role": "user", "content": "old"}]}
    job = PeerJob(
        bootstrap_servers="", group="", requests="", results="", in_flight=1, base_url="",
        api_key="", call=orjson.dumps(call).decode(),
    )  # fmt: skip

    asked = job.call_about({"user_prompt": "Which?", "essay_a": "one", "essay_b": "two"})

    assert asked["model"] == "m"
    assert asked["messages"][-1]["content"] == "Which?\n\nEssay A:\none\n\nEssay B:\ntwo"


def test_an_answer_that_is_no_verdict_is_no_result() -> None:
    with pytest.raises(KeyError):
        result_of("id", "{}", {"prompt_tokens": 1, "completion_tokens": 1})


def test_versions_are_those_of_the_locks() -> None:
    assert pinned("openai", "openai-agents==1\nopenai==3.57.0 \\\n    --hash=x") == "3.57.0"
    assert set(locked_versions()) >= {"litellm", "faststream"}


@pytest.mark.parametrize("lock", _LOCKS, ids=lambda lock: lock.stem)
def test_lock_has_hashes_and_names_no_index(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")

    assert re.search(r"^[a-z0-9.-]+==\S+.*\\\n\s+--hash=sha256:", text)
    assert not re.search(r"(?m)^\s*(--(extra-)?index|--find-links|.*(https?|file):)", text)
