"""The invariants of delivery, judged from the evidence of one scenario."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from llm_worker.contracts.vocabulary import TopicName
from tests.chaos.evidence import REQUESTS, Call, Evidence, Place, Sample, Seen, calls_by_request

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN = 5
FLAGS = frozenset({"unknown", "superseded"})
_OF_ATTEMPT = (TopicName.COST_TRACKING, TopicName.PROVIDER_FAILURE)
# What a second run of the same request may measure otherwise.
_TIMES = frozenset({"response_time_ms", "requested_at", "completed_at", "request_timestamp"})

Violations = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found. A violation is a sentence, so that a failure can be read."""

    scenario: str
    requests: int
    calls: int
    records: int
    samples: int
    answered_again: int
    """Results beyond the first with the same content: allowed, consumers drop known ids."""

    flagged: int
    """Attempts told as unknown, since their process is gone, or as superseded."""

    lost: Violations
    answered_differently: Violations
    answered_wrongly: Violations
    bought_twice: Violations
    untold: Violations
    wrong_event_ids: Violations
    missing_events: Violations
    committed_too_early: Violations
    left_over: Violations

    def require(self, *, bought_twice: int = 0, untold: int = 0) -> None:
        """Fail unless every invariant held.

        A crash may repeat purchases up to a bound; without a shared store it takes with it what
        would have told of the first ones.

        Raises:
            AssertionError: naming what was found, the first few of each kind.
        """
        allowed = {"bought_twice": bought_twice, "untold": untold}
        broken = [
            f"{name} {len(found)}, allowed {allowed.get(name, 0)}:\n    "
            + "\n    ".join(found[:_SHOWN])
            for name, found in self._violations()
            if len(found) > allowed.get(name, 0)
        ]
        if not self.samples:
            broken.append("the committed offsets were never sampled")
        if broken:
            raise AssertionError("\n  ".join([str(self.figures()), *broken]))

    def figures(self) -> dict[str, str | int]:
        """Give the report in numbers."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: len(value) if isinstance(value, tuple) else value for name, value in shown.items()
        }

    def _violations(self) -> Iterator[tuple[str, Violations]]:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                yield field.name, value


def examine(scenario: str, evidence: Evidence) -> Report:
    """Judge one scenario's evidence."""
    answers = evidence.answers()
    return Report(
        scenario=scenario,
        requests=len(evidence.sent),
        calls=len(evidence.calls),
        records=len(evidence.seen),
        samples=len(evidence.samples),
        answered_again=sum(len(given) - 1 for given in answers.values()),
        flagged=_flagged(evidence),
        lost=tuple(_lost(evidence)),
        answered_differently=tuple(_answered_differently(evidence)),
        answered_wrongly=tuple(_answered_wrongly(evidence)),
        bought_twice=tuple(_bought_twice(evidence)),
        untold=tuple(_untold(evidence)),
        wrong_event_ids=(*_wrong_ids_of_requests(evidence), *_wrong_ids_of_attempts(evidence)),
        missing_events=tuple(_missing_events(evidence)),
        committed_too_early=tuple(_committed_too_early(evidence)),
        left_over=tuple(_left_over(evidence)),
    )


def purchases(evidence: Evidence) -> dict[str, list[Call]]:
    """Give by request the calls that gave a verdict, or may have."""
    outcomes = outcomes_told(evidence)
    failed = {failure.event_id for failure in evidence.of_kind(TopicName.PROVIDER_FAILURE)}

    def is_purchase(call: Call) -> bool:
        if id_of_attempt(call.attempt_id, TopicName.PROVIDER_FAILURE) in failed:
            return False
        return outcomes.get(id_of_attempt(call.attempt_id, TopicName.COST_TRACKING)) != "failure"

    return {
        request_id: [call for call in calls if is_purchase(call)]
        for request_id, calls in calls_by_request(evidence.calls).items()
    }


def outcomes_told(evidence: Evidence) -> dict[str, str]:
    """Give the outcome that each cost event told last, by its id."""
    return {
        cost.event_id: str(cost.envelope["data"]["outcome"])
        for cost in evidence.of_kind(TopicName.COST_TRACKING)
    }


def _lost(evidence: Evidence) -> Iterator[str]:
    answers = evidence.answers()
    for sent in evidence.sent:
        if sent.mark not in answers:
            yield f"request {sent.mark} has no result"


def _answered_differently(evidence: Evidence) -> Iterator[str]:
    """Compare what stands on the broker more than once under one name."""
    first: dict[tuple[TopicName, str], Any] = {}
    for record in evidence.seen:
        if record.kind in REQUESTS or record.kind is TopicName.DEAD_LETTER:
            continue
        is_result = record.kind is TopicName.COMPARISON_RESULT
        name = record.kind, record.mark if is_result else record.event_id
        content = _without_times(record.envelope["data"])
        if content.get("outcome") in FLAGS:
            continue  # who came back after it was given up knows better
        if first.setdefault(name, content) != content:
            yield f"{record.kind} of request {record.request_id} with another content"


def _answered_wrongly(evidence: Evidence) -> Iterator[str]:
    """Compare each result with the request that it answers."""
    answers = evidence.answers()
    for sent in evidence.sent:
        for record in answers.get(sent.mark, ()):
            data = record.envelope["data"]
            if data["request_id"] != sent.event_id:
                yield f"result of {sent.mark} names request {data['request_id']}"
            if {data["correlation_id"], record.key.decode()} != {sent.correlation_id}:
                yield f"result of {sent.mark} has another's correlation id or key"
            if data["request_metadata"].get("prompt_sha256") not in (None, sent.prompt_sha256):
                yield f"result of {sent.mark} judges another prompt"


def _bought_twice(evidence: Evidence) -> Iterator[str]:
    """Name each call beyond the first that gave a verdict, or may have: paid for nothing."""
    for request_id, calls in purchases(evidence).items():
        for call in calls[1:]:
            yield f"request {request_id} again at {call.at:%H:%M:%S.%f} by process {call.pid}"


def _untold(evidence: Evidence) -> Iterator[str]:
    """Name each call of which neither a cost nor a failure is told."""
    told = {record.event_id for record in evidence.of_kind(*_OF_ATTEMPT)}
    for call in evidence.calls:
        if told.isdisjoint(id_of_attempt(call.attempt_id, kind) for kind in _OF_ATTEMPT):
            yield f"call for {call.request_id} at {call.at:%H:%M:%S.%f} by process {call.pid}"


def _flagged(evidence: Evidence) -> int:
    costs = evidence.of_kind(TopicName.COST_TRACKING)
    return len({cost.event_id for cost in costs if cost.envelope["data"]["outcome"] in FLAGS})


def _wrong_ids_of_requests(evidence: Evidence) -> Iterator[str]:
    contents = defaultdict(set)
    for sent in evidence.sent:
        contents[sent.event_id].add(sent.mark)
    ids = defaultdict(set)
    for record in evidence.of_kind(TopicName.COMPARISON_RESULT, TopicName.REQUEST_COMPLETED):
        name = record.mark if record.kind is TopicName.COMPARISON_RESULT else record.request_id
        ids[record.kind, name].add(record.event_id)
        wanted = str(uuid5(UUID(record.request_id), record.kind))
        if record.event_id != wanted and len(contents[record.request_id]) <= 1:
            yield f"{record.kind} of request {record.request_id} has a foreign id"
    for (kind, name), found in ids.items():
        if len(found) > 1:
            yield f"{kind} of {name} stands under {len(found)} ids"


def _wrong_ids_of_attempts(evidence: Evidence) -> Iterator[str]:
    # An attempt is noted, and its start told, before the call is made: a crash between them leaves
    # it without a call, and as of unknown outcome.
    calls = calls_by_request(evidence.calls)
    for record in evidence.of_kind(*_OF_ATTEMPT):
        if record.envelope["data"].get("cached"):
            if record.event_id != str(uuid5(UUID(record.request_id), record.kind)):
                yield f"savings of request {record.request_id} have a foreign id"
            continue
        if record.envelope["data"].get("outcome") == "unknown":
            continue
        attempts = calls.get(record.request_id, [])
        if record.event_id not in {
            id_of_attempt(each.attempt_id, record.kind) for each in attempts
        }:
            yield f"{record.kind} of request {record.request_id} has the id of no attempt"


def _missing_events(evidence: Evidence) -> Iterator[str]:
    """Look for what must stand beside each result that was bought."""
    ids = {(record.kind, record.event_id) for record in evidence.seen}
    calls = calls_by_request(evidence.calls)
    for record in evidence.of_kind(TopicName.COMPARISON_RESULT):
        data, request_id = record.envelope["data"], record.request_id
        attempts = [call.attempt_id for call in calls.get(request_id, [])]
        wanted: list[tuple[str, list[tuple[TopicName, str]]]] = []
        if data["attempts"]:
            completed = str(uuid5(UUID(request_id), TopicName.REQUEST_COMPLETED))
            wanted = [
                ("completion", [(TopicName.REQUEST_COMPLETED, completed)]),
                ("start", _of_attempts(attempts, TopicName.REQUEST_STARTED)),
                ("cost or failure", _of_attempts(attempts, *_OF_ATTEMPT)),
            ]
        if data["error_detail"] is not None and data["error_detail"]["operation"] == "judge":
            wanted.append(("dead letter", [(TopicName.DEAD_LETTER, request_id)]))
        for what, choices in wanted:
            if ids.isdisjoint(choices):
                yield f"request {request_id} has a result and no {what}"


def _committed_too_early(evidence: Evidence) -> Iterator[str]:
    """Look at each request when a sample first has it committed: its result was there by then."""
    answers = evidence.answers()
    marks: dict[Place, dict[int, str]] = defaultdict(dict)
    for record in evidence.of_kind(*REQUESTS):
        marks[record.place][record.offset] = record.mark
    highest: dict[Place, int] = defaultdict(int)
    for sample in evidence.samples:
        for place, committed in sample.committed.items():
            for offset in range(highest[place], committed):
                mark = marks[place].get(offset)
                if mark is not None and not _is_held(answers.get(mark, []), sample):
                    yield f"{place[0]}/{place[1]} committed {committed} past {offset}, unanswered"
            highest[place] = max(highest[place], committed)


def _is_held(answers: list[Seen], sample: Sample) -> bool:
    return any(answer.offset < sample.ends.get(answer.place, 0) for answer in answers)


def _left_over(evidence: Evidence) -> Iterator[str]:
    for sample in evidence.samples[-1:]:
        for place, committed in sample.committed.items():
            if committed != sample.ends[place]:
                yield f"{place[0]}/{place[1]} committed {committed} of {sample.ends[place]}"


def _of_attempts(attempts: list[str], *kinds: TopicName) -> list[tuple[TopicName, str]]:
    return [(kind, id_of_attempt(attempt, kind)) for kind in kinds for attempt in attempts]


def id_of_attempt(attempt_id: str, kind: TopicName) -> str:
    """Give the id of the event of this kind that tells of an attempt."""
    return str(uuid5(UUID(attempt_id), kind))


def _without_times(data: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in data.items() if name not in _TIMES}
    error = kept.get("error_detail")
    if error is not None:
        kept["error_detail"] = {**error, "timestamp": None}
    return kept
