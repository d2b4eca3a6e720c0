from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.cli.progress import ComparisonProgress
from llm_worker.cli.wording import Tally

if TYPE_CHECKING:
    import pytest


def test_bar_is_drawn_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally(done=3, cached=1)

    with ComparisonProgress(tally, total=5) as progress:
        progress.update()
    assert capsys.readouterr() == ("", "")

    monkeypatch.setenv("FORCE_COLOR", "1")  # rich's word for: take it for a terminal
    with ComparisonProgress(tally, total=5) as progress:
        progress.update()
    assert "3 done" in capsys.readouterr().err
