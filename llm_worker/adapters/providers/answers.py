"""Reading a verdict out of what a model wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from llm_worker.contracts.vocabulary import Winner
from llm_worker.domain.verdict import Verdict

if TYPE_CHECKING:
    from typing import Any

_WINNERS: Final = {
    spelling.casefold(): winner
    for winner in Winner
    for spelling in (winner.value, winner.value.removeprefix("Essay "))
}
_END_OF_THOUGHT: Final = "</think>"


def read_verdict(text: str) -> Verdict:
    """Read the one JSON object in `text`, whatever stands around it; its content is taken strictly.

    Raises:
        ValueError: it is no verdict. The words say why, to a person or to the model, and never
            quote `text`.
    """
    answer = _object_in(text)
    winner = answer.get("winner")
    if not isinstance(winner, str) or (known := _WINNERS.get(winner.strip().casefold())) is None:
        raise ValueError("winner is neither Essay A nor Essay B")
    justification = answer.get("justification")
    if not isinstance(justification, str) or not (reasons := justification.strip()):
        raise ValueError("justification is missing or has no text")
    confidence = answer.get("confidence")
    if (
        isinstance(confidence, bool)
        or not isinstance(confidence, int | float)
        or not 0 <= confidence <= 1
    ):
        raise ValueError("confidence is no number from 0 to 1")
    return Verdict(winner=known, justification=reasons, confidence=float(confidence))


def _object_in(text: str) -> dict[str, Any]:
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        answer = _wrapped_object_in(text)
    if not isinstance(answer, dict):
        raise ValueError("it is not one JSON object")  # noqa: TRY004 - wrong text, not wrong code
    return answer


def _wrapped_object_in(text: str) -> object:
    # Servers without structured output let models think aloud, greet, and fence their JSON.
    spoken = text.rpartition(_END_OF_THOUGHT)[2]
    start, end = spoken.find("{"), spoken.rfind("}")
    try:
        return orjson.loads(spoken[start : end + 1]) if start >= 0 else None
    except orjson.JSONDecodeError:
        # from None: the decoder's error holds the text.
        raise ValueError("it is not one JSON object") from None
