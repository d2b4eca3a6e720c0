from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llm_worker.cli.compare import _show
from llm_worker.contracts.vocabulary import Winner
from tests.support.results import golden_result

if TYPE_CHECKING:
    import pytest

_FILES = {Winner.A: Path("a.txt"), Winner.B: Path("b.txt")}


def test_parameters_that_were_left_out_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = "temperature_override left out: claude-haiku-5-5 takes no temperature [at all]"

    _show(golden_result("verdict", request_metadata={"adjustments": [words]}), _FILES)
    _show(golden_result("verdict"), _FILES)

    assert capsys.readouterr().out.count("adjusted") == 1


def test_adjustment_is_told_as_it_is_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = "temperature_override left out: claude-haiku-5-5 takes no temperature [at all]" * 2

    _show(golden_result("verdict", request_metadata={"adjustments": [words]}), _FILES)

    assert f"adjusted        {words}\n" in capsys.readouterr().out


def test_message_of_an_error_is_one_line_with_the_names_to_copy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = golden_result("error")
    assert error.error_detail is not None
    nearest = ", ".join(["openai/gpt-6-lunar-preview-2026-11-23"] * 4)
    detail = error.error_detail.model_copy(update={"message": f"nearest: {nearest}"})

    _show(error.model_copy(update={"error_detail": detail}), _FILES)

    assert f"{detail.error_code}: nearest: {nearest}\n" in capsys.readouterr().out


def test_nothing_that_a_model_or_a_provider_wrote_moves_the_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = "It is clear.\nAnd more \x1b]52;c;AAAA\x07so."

    _show(golden_result("verdict", justification=words, model="m\x1b[2J"), _FILES)

    said = capsys.readouterr().out
    assert "It is clear.\nAnd more ?]52;c;AAAA?so." in said
    assert "m?[2J" in said
