"""What the accountant reads: cost, completion and failure events, and its own state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.adapters.kafka.validation import required
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.events import (
    LLMCostTrackingV1,
    LLMProviderFailureV1,
    LLMRequestCompletedV1,
    LLMSpendStateV1,
)
from llm_worker.contracts.faults import faults_in_words
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.errors import UnreadableError, ValidationFailedError
from llm_worker.domain.spend import Source
from llm_worker.domain.spend_events import account_of, key_of_text

if TYPE_CHECKING:
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.errors import InvalidDeliveryError
    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey

_Cost = EventEnvelope[LLMCostTrackingV1]
_Completion = EventEnvelope[LLMRequestCompletedV1]
_Failure = EventEnvelope[LLMProviderFailureV1]
_State = EventEnvelope[LLMSpendStateV1]

_READ_AS: dict[TopicName, type[EventEnvelope[Any]]] = {
    TopicName.COST_TRACKING: _Cost,
    TopicName.REQUEST_COMPLETED: _Completion,
    TopicName.PROVIDER_FAILURE: _Failure,
}


class SpendCodec(EventRenderer):
    """Reads what is added up, and renders what follows from it."""

    def __init__(self, topics: TopicCatalog) -> None:
        super().__init__(topics)
        self._logical = topics.names_on_broker()

    def source(self, record: PlacedRecord) -> Source:
        """Say which source partition a record lies in."""
        return Source(self._logical[record.topic], record.partition)

    def event(self, record: PlacedRecord) -> EventEnvelope[Any] | InvalidDeliveryError:
        """Read an event, or say what is wrong with it."""
        model = _READ_AS[self._logical[record.topic]]
        try:
            return model.model_validate_json(required(record.value))
        except UnreadableError as error:
            return error
        except ValidationError as error:
            data = model.model_fields["data"].annotation
            return ValidationFailedError(
                f"{faults_in_words(error, whole='the envelope')}; "
                f"compare with {getattr(data, '__name__', data)}.json"
            )


def read_account(
    key: bytes | None, value: bytes | None
) -> tuple[AccountKey, Account | None] | None:
    """Read a record of the state; None where it is none of ours."""
    try:
        if value is not None:
            return account_of(_State.model_validate_json(value).data)
        return key_of_text((key or b"").decode()), None
    except (ValueError, TypeError):  # pydantic's and json's are of the first kind
        return None


def period_of_key(key: bytes | None) -> str | None:
    """Read the day or month of an account from its record's key alone; None where it has none."""
    try:
        return key_of_text((key or b"").decode()).period
    except (ValueError, TypeError):
        return None
