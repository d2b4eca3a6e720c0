"""The control topic for the commands: what it sets, and setting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker import bootstrap
from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.bootstrap.providers.retries import changed_backoff_faults
from llm_worker.bootstrap.runtime.settings import ControlledSettings
from llm_worker.cli.app import err
from llm_worker.cli.connection import prepare_for_kafka
from llm_worker.cli.wording import shown
from llm_worker.client.history import read_to_end
from llm_worker.client.publishing import publish
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.control_events import control_event
from llm_worker.domain.delivery import Record

if TYPE_CHECKING:
    from llm_worker.bootstrap import Settings
    from llm_worker.contracts.events import LLMControlV1


class ControlTopic:
    """Reads and writes the control topic of an installation."""

    def __init__(self, settings: Settings) -> None:
        prepare_for_kafka()
        self._own = settings
        self._options = bootstrap.kafka_options(settings)
        self._topics = bootstrap.catalog(settings)
        self._topic = self._topics.on_broker(TopicName.CONTROL)

    async def read(self) -> ControlledSettings:
        """Read it to its end; what every process ignores is told on stderr.

        What only a process with its keys can tell, as that a provider has none, is not checked.
        """
        found = ControlledSettings(self._own, checks=changed_backoff_faults)
        ignored: dict[bytes | None, str] = {}
        async for record in read_to_end(self._options, [self._topic]):
            ignored.pop(record.key, None)
            try:
                found.take(record.key, record.value)
            except bootstrap.SettingsError as error:
                ignored[record.key] = str(error)
        left_out = (f"{name}: {why}" for name, why in found.ignored.items())
        for why in (*ignored.values(), *left_out):
            err.print(f"[yellow]ignored[/] {shown(why)}", soft_wrap=True)
        return found

    async def set(self, change: LLMControlV1) -> None:
        """Write a change; the broker holds it on return."""
        await publish(self._options, EventRenderer(self._topics).render(control_event(change)))

    async def unset(self, name: str) -> None:
        """Take a change away; the broker knows on return."""
        tombstone = Record(topic=self._topic, key=name.encode(), value=None, headers=())
        await publish(self._options, tombstone)
