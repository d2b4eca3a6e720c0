"""The envelope around every event, and what all wire models share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, Self, TypeVar
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies outside the years 1 to 9999 in UTC; send a nearer time") from error


UtcDatetime = Annotated[datetime, AfterValidator(_in_utc)]
"""A moment in UTC; a time without an offset is taken as UTC."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Marks a number with what it counts; its JSON Schema says so as `x-unit`."""

    name: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core_schema) | {"x-unit": self.name}


Milliseconds = Annotated[int, Unit("ms")]
Tokens = Annotated[int, Unit("tokens")]


class WireModel(BaseModel):
    """A frozen model of the wire. Fields that nobody knows are accepted and ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # an essay stands in no error, and so in no log
    )

    @classmethod
    def from_json(cls, document: bytes) -> Self:
        """Read what came over the wire. Raises JSONDecodeError or ValidationError."""
        # Not model_validate_json: it reads fewer levels than the worker reads and writes.
        return cls.model_validate(orjson.loads(document))


DataT = TypeVar("DataT", bound=BaseModel)


class EventEnvelope(WireModel, Generic[DataT]):
    """The envelope of every record on every topic, as UTF-8 JSON."""

    event_id: UUID = Field(
        description="Identity of the event; the same event published again carries the same id."
    )
    event_type: str = Field(description="The topic's default name, without any prefix.")
    event_timestamp: UtcDatetime = Field(description="When the event came to be, UTC.")
    source_service: str = Field(description="The service that published the event.")
    schema_version: int = Field(default=1, ge=1, le=1, description="Version of the envelope.")
    correlation_id: UUID = Field(description="Joins a request with everything that follows it.")
    data_schema_uri: str | None = Field(default=None, description="Where the data's schema lives.")
    data: DataT = Field(description="The event itself.")
    metadata: dict[str, Any] | None = Field(
        default=None, description="Trace context: `traceparent`, `tracestate`."
    )
