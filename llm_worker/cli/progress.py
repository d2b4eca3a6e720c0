"""The progress of many comparisons, on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from typing_extensions import override

from llm_worker.cli.app import err

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Task

    from llm_worker.cli.wording import Tally


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    @override
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


class ComparisonProgress:
    """A bar with done, failed, cached, cost, rate and time left.

    Args:
        total: Results to expect, with those that the tally has already.
        beside_data: Whether results are printed at the same time. No bar then where both would
            meet on one terminal, nor anywhere else than on a terminal.
    """

    def __init__(self, tally: Tally, *, total: int, beside_data: bool = False) -> None:
        self._tally = tally
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            _Rate(),
            TimeRemainingColumn(),
            console=err,
            disable=not err.is_terminal or (beside_data and sys.stdout.isatty()),
            redirect_stdout=False,  # it would divert results into stderr
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(self._words(), total=total, completed=tally.answered)

    def update(self) -> None:
        """Show the tally as it is now."""
        self._progress.update(self._task, completed=self._tally.answered, description=self._words())

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def _words(self) -> str:
        tally = self._tally
        return (
            f"{tally.done} done · [red]{tally.failed} failed[/] · {tally.cached} cached · "
            f"{tally.cost()}"
        )
