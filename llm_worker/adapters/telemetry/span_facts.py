"""What spans say: by OpenTelemetry's conventions, messaging 1.44 and GenAI 0.1; `llm_worker.` ours.

Names, numbers and codes only. No text of a request or an answer, and no error's words: these may
quote what a provider said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from llm_worker.application.slots import Grant
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.cached import CacheHit
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.judging import DEFAULT_MAX_TOKENS
from llm_worker.domain.outcome import Completed, Failed, LetGo, Rejected, Replayed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_worker.application.purchases import Joined
    from llm_worker.application.tracing import Arrived
    from llm_worker.domain.delivery import Record
    from llm_worker.domain.outcome import Attempt, Ending, FinishedAttempt
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Usage

    Facts = dict[str, str | bool | int | float | Sequence[str]]
    Servers = Mapping[ProviderName, tuple[str, int]]

_KAFKA: Final = {"messaging.system": "kafka"}
_PROVIDERS: Final = {ProviderName.GOOGLE: "gcp.gemini"}
_OPERATIONS: Final = {ProviderName.GOOGLE: "generate_content"}


def consume_facts(arrived: Arrived, group: str) -> Facts:
    """Say what arrived, and where from."""
    delivery = arrived.delivery
    facts: Facts = {
        **_KAFKA,
        "messaging.operation.name": "consume",
        "messaging.operation.type": "process",
        "messaging.destination.name": delivery.topic,
        "messaging.destination.partition.id": str(delivery.partition),
        "messaging.kafka.offset": delivery.offset,
        "messaging.consumer.group.name": group,
        "messaging.message.id": str(arrived.request_id),
        "messaging.message.body.size": len(delivery.value or b""),
        "llm_worker.lane": delivery.lane.value,
    }
    if arrived.correlation_id is not None:
        facts["messaging.message.conversation_id"] = str(arrived.correlation_id)
    return facts


def ending_facts(ending: Ending) -> tuple[Facts, str | None]:
    """Say how a delivery ended, and the error's code where it was one."""
    match ending:
        case Completed():
            name, code = "completed", None
        case Failed():
            name, code = "failed", ending.error.code.value
        case Rejected():
            name, code = "rejected", ending.error.code.value
        case Replayed():
            name, code = "replayed", None
        case LetGo():
            name, code = "let_go", None
        case _:
            assert_never(ending)
    return {"llm_worker.ending": name}, code


def lookup_facts(joined: Joined) -> tuple[Facts, str | None]:
    """Say what the cache, or another's purchase, had."""
    match joined:
        case CacheHit():
            return _looked_up("hit") | {"llm_worker.cache.tier": joined.tier.value}, None
        case ProviderError():
            return _looked_up("failed"), joined.code.value
        case Grant.GRANTED:
            return _looked_up("miss"), None
        case Grant():
            return _looked_up(joined.name.lower()), None
        case _:
            assert_never(joined)


def operation_of(attempt: Attempt) -> str:
    """Name what is asked of the provider."""
    return _OPERATIONS.get(attempt.target.provider, "chat")


def attempt_facts(attempt: Attempt, servers: Servers) -> Facts:
    """Say who is called."""
    target = attempt.target
    facts: Facts = {
        "gen_ai.operation.name": operation_of(attempt),
        "gen_ai.provider.name": _PROVIDERS.get(target.provider, target.provider.value),
        "gen_ai.request.model": target.model,
        "gen_ai.output.type": "json",
        "llm_worker.attempt": attempt.number,
    }
    if target.provider in servers:
        facts["server.address"], facts["server.port"] = servers[target.provider]
    return facts


def call_facts(request: ComparisonRequest, finished: FinishedAttempt) -> tuple[Facts, str | None]:
    """Say what was asked for, what came back, and the error's code where it was one."""
    ending, billing = finished.ending, finished.billing
    facts = _asked_facts(request, ending.facts.adjustments)
    if billing is not None:
        facts |= _usage_facts(billing.usage)
        if billing.cost_usd is not None:
            facts["llm_worker.cost_usd"] = float(billing.cost_usd)
    if ending.facts.provider_request_id is not None:
        facts["llm_worker.provider_request_id"] = ending.facts.provider_request_id
    if ending.facts.response_id is not None:
        facts["gen_ai.response.id"] = ending.facts.response_id
    if ending.facts.finish_reason is not None:
        facts["gen_ai.response.finish_reasons"] = [ending.facts.finish_reason]
    if ending.facts.http_status is not None:
        facts["http.response.status_code"] = ending.facts.http_status
    if isinstance(ending, ProviderError):
        return facts, ending.code.value
    return facts | {"gen_ai.response.model": ending.model}, None


def publish_facts(records: Sequence[Record]) -> Facts:
    """Say what is published; the topic only where all records go to one."""
    topics = {record.topic for record in records}
    facts: Facts = {
        **_KAFKA,
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.batch.message_count": len(records),
    }
    return facts | ({"messaging.destination.name": topics.pop()} if len(topics) == 1 else {})


def _looked_up(result: str) -> Facts:
    return {"llm_worker.cache.result": result}


def _asked_facts(request: ComparisonRequest, adjustments: Sequence[str]) -> Facts:
    wanted = request.asked.llm_config_overrides
    facts: Facts = {
        "gen_ai.request.max_tokens": (wanted and wanted.max_tokens_override) or DEFAULT_MAX_TOKENS
    }
    if wanted is None or wanted.temperature_override is None:
        return facts
    if any(words.startswith("temperature_override ") for words in adjustments):
        return facts  # it was left out of the call
    return facts | {"gen_ai.request.temperature": wanted.temperature_override}


def _usage_facts(usage: Usage) -> Facts:
    counts = {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_write.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }
    return {name: count for name, count in counts.items() if count is not None}
