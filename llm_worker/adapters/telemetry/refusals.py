"""What the broker never takes, in the log of whichever process had it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from llm_worker.application.ports import Refusal
    from llm_worker.domain.delivery import Record

_log = structlog.get_logger("llm_worker")


class LoggedRefusals:
    """Logs refused records."""

    def refused(self, record: Record, refusal: Refusal) -> None:
        """Note a record that the broker will never take in any form."""
        _log.error("record_refused", topic=record.topic, refusal=refusal.name, key=repr(record.key))
