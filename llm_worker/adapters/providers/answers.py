"""Reading a verdict out of what a model wrote."""

from __future__ import annotations

import re
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
_OPENING_LINE: Final = re.compile(r"[ \t\ufeff]*(?:`{3}\w*[ \t]*)?\{")
_AROUND_A_LINE: Final = " \t\r`"


def read_verdict(text: str, *, prompt: str) -> Verdict:
    """Read the one JSON object in `text`; its content is taken strictly.

    Lines around it do not matter. In the middle of a line it may be a quotation, and what stands
    in the prompt in the same words is one: an essay may hold a verdict on itself.

    Raises:
        ValueError: it is no verdict. The words say why, to a person or to the model, and never
            quote `text`.
    """
    written, answer = _object_in(text)
    if "{" in prompt and _unspaced(written) in _unspaced(prompt):
        raise ValueError("it only repeats what stands in the prompt")
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


def _unspaced(text: str) -> str:
    return "".join(text.split())


def _object_in(text: str) -> tuple[str, dict[str, Any]]:
    written = text
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        written = _wrapped_object_in(text)
        answer = _loaded(written)
    if not isinstance(answer, dict):
        raise ValueError("it is not one JSON object")  # noqa: TRY004 - wrong text, not wrong code
    return written, answer


def _wrapped_object_in(text: str) -> str:
    # Servers without structured output let models think aloud, greet, and fence their JSON.
    lines = text.rpartition(_END_OF_THOUGHT)[2].split("\n")
    opening = [at for at, line in enumerate(lines) if _OPENING_LINE.match(line)]
    closing = [at for at, line in enumerate(lines) if line.rstrip(_AROUND_A_LINE).endswith("}")]
    if not opening or not closing:
        return ""
    block = "\n".join(lines[opening[0] : closing[-1] + 1])
    return block[block.find("{") : block.rfind("}") + 1]


def _loaded(written: str) -> object:
    try:
        return orjson.loads(written)
    except orjson.JSONDecodeError:
        # from None: the decoder's error holds the text.
        raise ValueError("it is not one JSON object") from None
