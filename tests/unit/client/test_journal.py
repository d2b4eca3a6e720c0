from __future__ import annotations

import errno
from typing import IO, TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.client.journal import Journal, JournalError, identified
from llm_worker.client.submission import Submission
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.vocabulary import Lane
from tests.support.results import golden_result

if TYPE_CHECKING:
    from pathlib import Path

    from llm_worker.contracts.result import LLMComparisonResultV1

ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def result_of(event_id: UUID) -> LLMComparisonResultV1:
    return golden_result("verdict", request_id=str(event_id))


def line_of(event_id: UUID) -> bytes:
    return result_of(event_id).model_dump_json().encode() + b"\n"


def requests(*prompts: str) -> list[LLMComparisonRequestV1]:
    return [LLMComparisonRequestV1(user_prompt=prompt) for prompt in prompts]


def test_result_is_found_again_in_this_run_and_in_the_next(path: Path) -> None:
    with Journal(path) as journal:
        assert journal.find(ONE) is None
        journal.keep(result_of(ONE))
        journal.keep(result_of(OTHER))
        assert journal.find(OTHER) == result_of(OTHER)

    with Journal(path) as again:
        assert len(again) == 2
        assert again.find(ONE) == result_of(ONE)


def test_line_that_a_crash_has_cut_off_is_dropped(path: Path) -> None:
    for length in (1, 10, 60):
        path.write_bytes(line_of(ONE) + line_of(OTHER)[:length])

        with Journal(path) as journal:
            assert journal.find(OTHER) is None
            journal.keep(result_of(OTHER))

        assert path.read_bytes() == line_of(ONE) + line_of(OTHER)


def test_last_line_that_lacks_only_its_end_is_kept(path: Path) -> None:
    path.write_bytes(line_of(ONE).rstrip())

    with Journal(path) as journal:
        journal.keep(result_of(OTHER))

    assert path.read_bytes() == line_of(ONE) + line_of(OTHER)


@pytest.mark.parametrize("content", [b"my diary", b"my diary\n", line_of(ONE) + b"{}\n", b"{}"])
def test_file_of_something_else_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(JournalError, match=r"results\.jsonl: line . is no result"), Journal(path):
        pass

    assert path.read_bytes() == content


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(JournalError, match=r"nowhere.*name another file"),
        Journal(tmp_path / "nowhere" / "results.jsonl"),
    ):
        pass


def test_of_two_results_for_one_request_the_first_counts(path: Path) -> None:
    other = golden_result("verdict", request_id=str(ONE), confidence=1.0)
    path.write_bytes(line_of(ONE) + other.model_dump_json().encode() + b"\n")

    with Journal(path) as journal:
        assert journal.find(ONE) == result_of(ONE)


def test_submission_keeps_its_own_name() -> None:
    submission = Submission(request=requests("a")[0], event_id=uuid4())

    assert list(identified([submission], lane=Lane.BULK)) == [submission]


@given(st.lists(st.sampled_from("abc"), max_size=8), st.randoms())
def test_requests_have_the_same_names_in_any_order_and_no_two_have_one(
    prompts: list[str],
    random: object,
) -> None:
    shuffled = list(prompts)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random

    one = [submission.event_id for submission in identified(requests(*prompts))]
    other = [submission.event_id for submission in identified(requests(*shuffled))]

    assert len(set(one)) == len(prompts)
    assert set(one) == set(other)


def test_request_without_a_name_stands_in_the_lane_asked_for() -> None:
    (submission,) = identified(requests("a"), lane=Lane.BULK)

    assert submission.lane is Lane.BULK


class FullDisk:
    """A file on a disk that has room for so many bytes."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file = file
        self._room = room

    def write(self, line: bytes) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, self._room = self._file.write(line[: self._room]), 0
        return taken

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a file does
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [100, 0])
def test_full_disk_is_told_and_leaves_the_journal_as_it_was(path: Path, room: int) -> None:
    with Journal(path) as journal:
        journal.keep(result_of(ONE))
        on_disk = journal._file
        journal._file = cast("Any", FullDisk(on_disk, room))
        with pytest.raises(JournalError, match=r"results\.jsonl: .*(full|No space)"):
            journal.keep(result_of(OTHER))
        journal._file = on_disk
        assert journal.find(OTHER) is None
        journal.keep(result_of(OTHER))

    assert path.read_bytes() == line_of(ONE) + line_of(OTHER)


def test_result_as_deep_as_a_worker_gives_is_read_again(path: Path) -> None:
    nested: dict[str, Any] = {}
    for _ in range(230):
        nested = {"deeper": nested}
    deep = golden_result("verdict", request_id=str(ONE), request_metadata=nested)

    with Journal(path) as journal:
        journal.keep(deep)
    with Journal(path) as again:
        assert again.find(ONE) == deep


def test_second_program_is_kept_out_of_a_journal(path: Path) -> None:
    """Both would have all asked, and the file would count each result twice."""
    with Journal(path) as journal:
        with pytest.raises(JournalError, match="another program writes it"), Journal(path):
            pass
        journal.keep(result_of(ONE))

    with Journal(path) as again:
        assert len(again) == 1
