"""What `llm-worker doctor` looks at on the broker: topics, rights, and whether costs are added."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from llm_worker import bootstrap
from llm_worker.adapters.kafka.group_rights import may_join
from llm_worker.adapters.kafka.topic_metadata import Right
from llm_worker.adapters.kafka.topic_state import Presence
from llm_worker.adapters.kafka.topics import ClusterError, compare_topics
from llm_worker.bootstrap.spend.lag import measure_lag
from llm_worker.cli.connection import prepare_for_kafka
from llm_worker.cli.findings import Finding, Level
from llm_worker.cli.kafka_remedy import remedy_for
from llm_worker.client.errors import ClientError
from llm_worker.contracts.rights import Purpose, group_of, rights_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from llm_worker.adapters.kafka.topic_state import TopicState
    from llm_worker.bootstrap import Settings
    from llm_worker.bootstrap.spend.lag import SpendLag
    from llm_worker.contracts.documents.flows import Party
    from llm_worker.contracts.rights import TopicRight
    from llm_worker.contracts.topics import TopicCatalog

_LAG_LIMIT_S: Final = 10.0


async def examine_kafka(settings: Settings, party: Party) -> list[Finding]:
    """Make every check that concerns the broker."""
    options, catalog = bootstrap.kafka_options(settings), bootstrap.catalog(settings)
    try:
        states = await compare_topics(options, catalog)
    except ClusterError as error:
        words = " ".join(filter(None, (f"{error}.", remedy_for(str(error)))))
        return [Finding(check="broker", level=Level.FAULT, words=words)]
    reached = Finding(check="broker", level=Level.OK, words="answers")
    group = group_of(party, settings.kafka.group)
    spend, is_member = await asyncio.gather(
        _examine_spend(options, catalog), may_join(options, group)
    )
    rights = [
        *right_findings(states, party, _purposes(settings)),
        *group_findings(group, is_allowed=is_member),
    ]
    granted = Finding(
        check="rights", level=Level.OK, words=f"all that the {party} needs: docs/security.md"
    )
    return [reached, *topic_findings(states, party), *(rights or [granted]), *spend]


def _purposes(settings: Settings) -> frozenset[Purpose | None]:
    """Say what for rights are needed: who sets a key wants what it opens."""
    is_open = settings.web.api_key is not None or settings.web.allow_anonymous
    wanted = {
        Purpose.COMPARISONS: is_open,
        Purpose.CHANGES: settings.admin_api_key is not None,
    }
    return frozenset({None, *(purpose for purpose, is_wanted in wanted.items() if is_wanted)})


def topic_findings(states: Sequence[TopicState], party: Party) -> list[Finding]:
    """Judge the topics: a difference from topics.yaml is a fault.

    That one is hidden which the party does not use is as it should be.
    """
    used = {right.topic for right in rights_of(party) if right.purpose is None}
    seen = [
        state for state in states if state.presence is not Presence.HIDDEN or state.name in used
    ]
    findings = [
        Finding(check="topics", level=level, words=f"{state.name}: {words}")
        for state in seen
        for level, words in (
            *((Level.FAULT, words) for words in state.differences),
            *((Level.WARNING, f"not checked: {words}") for words in state.unchecked),
        )
    ]
    all_well = Finding(
        check="topics", level=Level.OK, words=f"all {len(seen)} are as topics.yaml says"
    )
    return findings or [all_well]


def right_findings(
    states: Sequence[TopicState], party: Party, purposes: Collection[Purpose | None]
) -> list[Finding]:
    """Name the rights that are missing; nothing where all are there."""
    by_name = {state.name: state for state in states if state.presence is not Presence.MISSING}
    needed = [
        right for right in rights_of(party) if right.topic in by_name and right.purpose in purposes
    ]
    missing = [
        _missing(right, by_name[right.topic])
        for right in needed
        if (rights := by_name[right.topic].rights) is not None
        and Right[right.operation.name] not in rights
    ]
    untold = dict.fromkeys(right.topic for right in needed if by_name[right.topic].rights is None)
    if untold:
        words = f"not checked, the broker does not tell: {', '.join(untold)}"
        missing.append(Finding(check="rights", level=Level.WARNING, words=words))
    return missing


def _missing(right: TopicRight, state: TopicState) -> Finding:
    wanted = f"grant {right.operation} on {state.topic} to this principal"
    if right.purpose is None:
        return Finding(check="rights", level=Level.FAULT, words=f"{state.name}: {wanted}")
    words = f"{state.name}: for {right.purpose} {wanted}"
    return Finding(check="rights", level=Level.WARNING, words=words)


def group_findings(group: str, *, is_allowed: bool | None) -> list[Finding]:
    """Name the right to join the group if it is missing, or not known (None)."""
    if is_allowed:
        return []
    if is_allowed is None:
        words = f"not checked, the broker does not tell: the group {group}"
        return [Finding(check="rights", level=Level.WARNING, words=words)]
    words = f"grant Read on the group {group} to this principal"
    return [Finding(check="rights", level=Level.FAULT, words=words)]


async def _examine_spend(options: Mapping[str, Any], catalog: TopicCatalog) -> list[Finding]:
    prepare_for_kafka()
    try:
        async with asyncio.timeout(_LAG_LIMIT_S):
            lag = await measure_lag(options, catalog)
    except (ClientError, TimeoutError):
        return []  # what is missing there, other checks have told
    return [lag_finding(lag)]


def lag_finding(lag: SpendLag) -> Finding:
    """Judge whether costs are added up."""
    complaint = lag.complaint()
    if complaint is not None:
        return Finding(check="spend", level=Level.WARNING, words=complaint)
    words = "nothing to add up yet" if lag.newest_event is None else "added up"
    return Finding(check="spend", level=Level.OK, words=words)
