"""Outcomes and claims that all workers share, in Redis: one hash a request."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.cache.link import CacheAwayError
from llm_worker.adapters.cache.packing import (
    UnknownFormError,
    pack_attempt,
    pack_records,
    unpack_attempt,
    unpack_records,
)
from llm_worker.adapters.cache.script import load_script
from llm_worker.domain.claim import Claim, Hindrance, KnownOutcome, LeftBehind

if TYPE_CHECKING:
    from uuid import UUID

    from llm_worker.adapters.cache.link import RedisLink
    from llm_worker.adapters.cache.outbox import Outbox
    from llm_worker.adapters.cache.presence import Presence
    from llm_worker.adapters.cache.script import Script
    from llm_worker.domain.claim import Claiming
    from llm_worker.domain.delivery import Record
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest

_CLAIM: Final = load_script("claim")
_NOTE: Final = load_script("note")
_KEEP: Final = load_script("keep")
_PUBLISHED: Final = load_script("published")
_RELEASE: Final = load_script("release")
_PUBLISHED_WITHIN_MS: Final = 30_000
"""Later, an outcome that is not marked is published again by whoever finds it."""

Fields = dict[bytes, bytes]


class RedisOutcomes:
    """Every method that waits raises CacheAwayError when Redis does not answer in time.

    A claim ends with its outcome, with its process, or after `held_at_most_s` seconds: no request
    takes so long, so somebody has lost it.
    """

    def __init__(
        self,
        link: RedisLink,
        presence: Presence,
        outbox: Outbox,
        *,
        key_prefix: str,
        ttl_s: float,
        held_at_most_s: float,
    ) -> None:
        self._link = link
        self._presence = presence
        self._outbox = outbox
        self._key_prefix = key_prefix
        self._ttl_ms = int(ttl_s * 1000)
        self._held_at_most_ms = int(held_at_most_s * 1000)

    @property
    def is_available(self) -> bool:
        """Whether Redis is asked at the moment."""
        return self._link.is_available

    def new_token(self) -> str:
        """Give a token that no other claim has; it says whose it is."""
        return self._presence.new_token()

    async def claim(self, request: ComparisonRequest) -> Claiming:
        """Take the right to buy; or tell the outcome, or why neither is to be had."""
        token, gone, over_outcome = self.new_token(), b"", False
        while True:
            word, fields = await self._claim(request, token, gone, over_outcome=over_outcome)
            if word == b"conflict":
                return Hindrance.CONFLICT
            if word == b"claimed":
                return Claim(
                    request_id=request.request_id,
                    data_hash=request.data_hash,
                    token=token,
                    left_behind=_left_behind(fields),
                )
            if word != b"known" and await self._presence.may_be_alive(fields[b"token"]):
                return Hindrance.HELD
            if word == b"held":
                gone = fields[b"token"]
                continue
            known = _known(fields)
            if known is not None:
                return known
            if over_outcome:
                raise CacheAwayError("an outcome of another version")
            over_outcome = True

    async def begins(self, claim: Claim, attempt: Attempt) -> bool:
        """Note that a call is about to be made; False: the claim is another's."""
        note = self._note(claim, begun=pack_attempt(attempt))
        return bool(await self._link.run(_NOTE, [self._key(claim.request_id)], *note))

    def ended(
        self, claim: Claim, attempt: Attempt, records: tuple[Record, ...], *, is_paid: bool
    ) -> None:
        """Note that the attempt failed, and the records that tell so.

        What Redis did not hear it is told when it is back, unless it has forgotten the claim.
        """
        told = pack_records(records) if records else b""
        note = self._note(claim, ended=pack_attempt(attempt), told=told, is_paid=is_paid)
        keys = [self._key(claim.request_id)]
        keep = partial(self._outbox.keep, _NOTE, keys, *note, "late")
        self._link.post_later(_NOTE, keys, *note, unheard=keep)

    async def keep(self, claim: Claim, records: tuple[Record, ...]) -> bool:
        """Remember the outcome; False: another process was first.

        What Redis did not hear, it is told when it is back.
        """
        arguments = self._of(claim, pack_records(records), _PUBLISHED_WITHIN_MS)
        try:
            return bool(await self._twice(_KEEP, claim.request_id, *arguments))
        except CacheAwayError:
            self._outbox.keep(_KEEP, [self._key(claim.request_id)], *arguments)
            raise

    def published(self, request: ComparisonRequest) -> None:
        """Note that the broker holds the outcome's events, for this delivery."""
        key = self._key(request.request_id)
        self._outbox.post(_PUBLISHED, [key], request.delivery.record_id)

    def release(self, claim: Claim, *, is_paid: bool) -> None:
        """Give a claim back without an outcome."""
        arguments = self._of(claim, "1" if is_paid else "")
        self._outbox.post(_RELEASE, [self._key(claim.request_id)], *arguments)

    async def _claim(
        self, request: ComparisonRequest, token: str, gone: bytes, *, over_outcome: bool
    ) -> tuple[bytes, Fields]:
        word, *flat = await self._twice(
            _CLAIM,
            request.request_id,
            request.data_hash,
            token,
            self._ttl_ms,
            gone,
            self._held_at_most_ms,
            "1" if over_outcome else "",
        )
        return word, dict(zip(flat[::2], flat[1::2], strict=True))

    async def _twice(self, script: Script, request_id: UUID, *arguments: bytes | str | int) -> Any:  # noqa: ANN401 - the script's answer
        """Ask, and once more where the answer did not come; the scripts may run twice."""
        try:
            return await self._link.run(script, [self._key(request_id)], *arguments)
        except CacheAwayError:
            return await self._link.run(script, [self._key(request_id)], *arguments)

    def _note(
        self,
        claim: Claim,
        *,
        begun: bytes = b"",
        ended: bytes = b"",
        told: bytes = b"",
        is_paid: bool = False,
    ) -> tuple[bytes | str | int, ...]:
        paid = "1" if is_paid else ""
        return self._of(claim, begun, told, paid, self._held_at_most_ms, ended)

    def _of(self, claim: Claim, *more: bytes | str | int) -> tuple[bytes | str | int, ...]:
        return (claim.data_hash, claim.token, self._ttl_ms, *more)

    def _key(self, request_id: UUID) -> str:
        return f"{self._key_prefix}request:{request_id}"


def _known(fields: Fields) -> KnownOutcome | None:
    """Read an outcome; None in a form that we do not know."""
    published_for = fields.get(b"published")
    try:
        records = unpack_records(fields[b"outcome"])
    except UnknownFormError:
        return None
    return KnownOutcome(
        records=records, published_for=published_for.decode() if published_for else None
    )


def _left_behind(fields: Fields) -> LeftBehind:
    """Read what the last holder noted; in a form that we do not know it may have been paid."""
    attempt = fields.get(b"attempt")
    told = {
        int(name.removeprefix(b"told:")): packed
        for name, packed in fields.items()
        if name.startswith(b"told:")
    }
    try:
        return LeftBehind(
            attempt=unpack_attempt(attempt) if attempt else None,
            records=tuple(
                record for number in sorted(told) for record in unpack_records(told[number])
            ),
            is_paid=bool(attempt) or b"paid" in fields,
        )
    except UnknownFormError:
        return LeftBehind(is_paid=True)
