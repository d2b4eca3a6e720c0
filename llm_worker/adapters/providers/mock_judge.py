"""How the mock judges: a latent quality per essay, and a draw that the seed decides."""

from __future__ import annotations

import math
import re
import struct
from hashlib import sha256
from typing import NamedTuple, Self

from llm_worker.contracts.vocabulary import Winner
from llm_worker.domain.verdict import Verdict

_HEADINGS = re.compile(r"^\W*essay\s+(?:a|b)\b\W*", re.IGNORECASE | re.MULTILINE)
_TAGGED = re.compile(
    r"^<essay_a_(\w+)>\n(.*)\n</essay_a_\1>\n\n<essay_b_\1>\n(.*)\n</essay_b_\1>$",
    re.DOTALL | re.MULTILINE,
)
_GLANCE_CHARACTERS = 1200
_STEEPNESS = 12.0
_CLEAR, _CLOSE = 0.5, 0.2


class Dice(NamedTuple):
    """Numbers from 0 up to 1 that depend on nothing but what they were thrown for."""

    error: float
    malformed: float
    winner: float
    confidence: float

    @classmethod
    def throw(cls, seed: int, fingerprint: str) -> Self:
        """Throw them all for a seed and what is asked."""
        digest = sha256(f"{seed}/{fingerprint}".encode()).digest()
        return cls(*(number / 2**64 for number in struct.unpack(">4Q", digest)))


def judge(essay_a: str, essay_b: str, dice: Dice, position_bias: float) -> Verdict:
    """Draw a verdict: the better essay wins the more surely, the further they are apart.

    `position_bias` runs from -1, the second always wins, over 0, none, to 1, the first always wins.
    """
    margin = latent_quality(essay_a) - latent_quality(essay_b)
    chance_a = 1 / (1 + math.exp(-_STEEPNESS * margin))
    if position_bias >= 0:
        chance_a += position_bias * (1 - chance_a)
    else:
        chance_a *= 1 + position_bias
    winner = Winner.A if dice.winner < chance_a else Winner.B
    confidence = min(1.0, abs(margin) * 2 + 0.2 * dice.confidence)
    return Verdict(
        winner=winner, justification=_justification(winner, margin), confidence=confidence
    )


def latent_quality(essay: str) -> float:
    """Guess at 0..1 from the range and the length of the words in an essay's first lines."""
    glance = essay[:_GLANCE_CHARACTERS].lower()
    words = glance.split()
    if not words:
        return 0.0
    range_of_words = len(set(words)) / len(words)
    length_of_words = len(glance) / len(words) - 1
    guess = 0.7 * (range_of_words - 0.45) / 0.3 + 0.3 * (length_of_words - 3.5) / 1.5
    return min(1.0, max(0.0, guess))


def split_essays(prompt: str) -> tuple[str, str]:
    """Find the two essays in one prompt; a prompt without tags or headings is cut in half."""
    tagged = _TAGGED.search(prompt)
    if tagged is not None:
        return tagged[2], tagged[3]
    parts = _HEADINGS.split(prompt)
    if len(parts) >= 3:  # noqa: PLR2004 - what stands before, Essay A, Essay B
        return parts[-2], parts[-1]
    return prompt[: len(prompt) // 2], prompt[len(prompt) // 2 :]


def _justification(winner: Winner, margin: float) -> str:
    loser = Winner.B if winner is Winner.A else Winner.A
    size = abs(margin)
    expected = Winner.A if margin >= 0 else Winner.B
    if winner is not expected:
        return (
            f"{winner} makes its case more directly than {loser}, whose fuller wording adds little."
        )
    if size > _CLEAR:
        return f"{winner} is clearly stronger: precise and varied, where {loser} repeats itself."
    if size > _CLOSE:
        return f"{winner} argues with a wider vocabulary and better examples than {loser}."
    return f"{winner} and {loser} are close; {winner} words its reasons a little more exactly."
