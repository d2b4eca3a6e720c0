"""The requests that wait for their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from llm_worker.client.errors import ClientError
from llm_worker.client.submission import read_result

if TYPE_CHECKING:
    import asyncio

    from llm_worker.client.submission import Submission
    from llm_worker.contracts.result import LLMComparisonResultV1

Inbox: TypeAlias = "asyncio.Queue[LLMComparisonResultV1 | Exception]"
"""Where one caller's results arrive, or what keeps them from arriving."""


class Outstanding:
    """Finds out whose result a record is.

    Forgets a request once it is answered, so a result that comes twice counts once. Requests
    under one correlation id are told apart by their event ids.
    """

    def __init__(self) -> None:
        self._inboxes: dict[bytes, dict[str, Inbox]] = {}
        self._ended_by: ClientError | None = None

    def __len__(self) -> int:
        return sum(map(len, self._inboxes.values()))

    @property
    def is_open(self) -> bool:
        """Whether results still come."""
        return self._ended_by is None

    def add(self, submission: Submission, inbox: Inbox) -> None:
        """Wait for a result.

        Raises:
            ValueError: The event id waits already.
            ClientError: No more results will come.
        """
        if self._ended_by is not None:
            raise self._ended_by.with_traceback(None)  # or it keeps the frames of all before
        same_key = self._inboxes.setdefault(submission.key, {})
        if str(submission.event_id) in same_key:
            raise ValueError(f"event id {submission.event_id} is waiting for its result already")
        same_key[str(submission.event_id)] = inbox

    def discard(self, key: bytes, event_id: str) -> Inbox | None:
        """Wait no longer; give the inbox, if it was waiting."""
        same_key = self._inboxes.get(key, {})
        inbox = same_key.pop(event_id, None)
        if not same_key:
            self._inboxes.pop(key, None)
        return inbox

    def receive(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the reply topic; one that nobody waits for is not even parsed."""
        if key is None or key not in self._inboxes:
            return
        try:
            result = read_result(value)
        except ClientError as error:
            _tell(self._inboxes.pop(key), error)
            return
        inbox = self.discard(key, result.request_id)
        if inbox is not None:
            inbox.put_nowait(result)

    def fail(self, error: ClientError) -> None:
        """Tell everybody, now and later, that no more results will come."""
        self._ended_by = error
        for same_key in self._inboxes.values():
            _tell(same_key, error)
        self._inboxes.clear()


def _tell(same_key: dict[str, Inbox], error: ClientError) -> None:
    for inbox in same_key.values():
        inbox.put_nowait(error)
