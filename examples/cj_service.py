"""A comparative judgement service in small: choose pairs, buy verdicts, rank.

    python examples/cj_service.py llm_worker/dev/essays --journal cj.jsonl

Stopped at any moment and run again with the same arguments it goes on: the journal has every
result that came, the rest is asked for under the same event ids, and nothing is bought twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import choix
import click

from llm_worker.client import ClientError, ComparisonClient, error_of, new_request
from llm_worker.client.judge import DEFAULT_PROMPT
from llm_worker.contracts.vocabulary import ErrorCode, Winner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.client import ComparisonError
    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.contracts.result import LLMComparisonResultV1

HOPELESS = {ErrorCode.LLM_CONTENT_TOO_LONG, ErrorCode.LLM_INVALID_PROMPT}


class Assessment:
    """What is known so far. All choices depend on it alone, or another run would ask anew."""

    def __init__(self, name: str, folder: Path, both_orders: float) -> None:
        self.name, self.both_orders = name, both_orders
        self.texts = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))}
        self.prompt = self.texts.pop("prompt", DEFAULT_PROMPT)
        self.scores = dict.fromkeys(self.texts, 0.0)
        self.met: set[frozenset[str]] = set()
        self.verdicts: dict[str, tuple[str, str]] = {}  # winner and loser, by request
        self.errors: Counter[str] = Counter()

    def requests(self, number: int) -> Iterator[LLMComparisonRequestV1]:
        """Ask for each pair of a round; for a share of them in both orders."""
        dice = Random(f"{self.name}/{number}")
        for first, second in list(self._pairs(dice)):
            self.met.add(frozenset((first, second)))
            yield self._request(first, second, number)
            if dice.random() < self.both_orders:
                yield self._request(second, first, number)

    def _pairs(self, dice: Random) -> Iterator[tuple[str, str]]:
        """Pair neighbours in the order so far that have not met: they tell most."""
        free = sorted(self.texts, key=lambda name: (-self.scores[name], dice.random()))
        while free:
            first = free.pop(0)
            new = (name for name in free if frozenset((first, name)) not in self.met)
            if (second := next(new, None)) is not None:
                free.remove(second)
                yield (first, second) if dice.random() < 1 / 2 else (second, first)

    def _request(self, first: str, second: str, number: int) -> LLMComparisonRequestV1:
        # Metadata comes back with the result. In another round it makes another request.
        about: dict[str, Any] = {"assessment": self.name, "round": number}
        about |= {Winner.A: first, Winner.B: second}
        texts = self.texts[first], self.texts[second]
        return new_request(*texts, prompt=self.prompt, organization_id="school-7", metadata=about)

    def take(self, result: LLMComparisonResultV1) -> ComparisonError | None:
        """Note a result; one that has come before changes nothing."""
        pair = {place: result.request_metadata[place] for place in Winner}
        error = error_of(result)
        if error is not None:
            self.errors[error.code] += 1
            if error.code not in HOPELESS:  # a later round may ask again
                self.met.discard(frozenset(pair.values()))
        elif result.winner is not None:
            self.verdicts[result.request_id] = (pair.pop(result.winner), *pair.values())
        return error

    def rank(self) -> None:
        """Estimate scores (Bradley-Terry, log-odds), the same in whichever order results came."""
        names = list(self.texts)
        pairs = sorted((names.index(a), names.index(b)) for a, b in self.verdicts.values())
        found = choix.opt_pairwise(len(names), pairs, alpha=0.1)
        self.scores = {name: round(float(one), 6) for name, one in zip(names, found, strict=True)}

    def show(self) -> None:
        """Print the ranking, and how often the order of the essays decided."""
        ranking = sorted(self.scores.items(), key=lambda item: (-item[1], item[0]))
        for place, (name, score) in enumerate(ranking, start=1):
            print(f"{place:3}  {name:20} {score:+.2f}")
        pairs = Counter(self.verdicts.values())
        tied = sum(pair[::-1] in pairs for pair in pairs) // 2
        agreed = sum(count > 1 for count in pairs.values())
        print(f"both orders: {agreed} pairs agreed, {tied} tied; errors: {dict(self.errors)}")


async def run(client: ComparisonClient, assessment: Assessment, rounds: int, journal: Path) -> None:
    """Ask round after round, each chosen by the verdicts so far."""
    async with client:
        for number in range(1, rounds + 1):
            before, error = len(assessment.verdicts), None
            requests = assessment.requests(number)
            async with aclosing(client.submit_many(requests, journal=journal)) as results:
                async for result in results:
                    error = assessment.take(result) or error
            new = len(assessment.verdicts) - before
            if error is not None and not new:
                raise SystemExit(f"no verdict in round {number}: {error}\nThen take a new --name.")
            assessment.rank()
            print(f"round {number}: {new} verdicts, {assessment.errors.total()} errors so far")


@click.command()
@click.argument("essays", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--kafka", default="127.0.0.1:9092", show_default=True, help="host:port,host:port")
@click.option("--name", default="demo", show_default=True, help="Of this assessment.")
@click.option("--rounds", default=6, show_default=True, help="Each compares each essay once.")
@click.option("--both-orders", default=0.25, show_default=True, help="Share of pairs asked twice.")
@click.option("--reply-topic", help="A topic of your own; without it, the one shared by all.")
@click.option("--journal", type=click.Path(path_type=Path), default="cj.jsonl", show_default=True)
def main(  # noqa: PLR0913 - one argument per option
    *,
    essays: Path,
    kafka: str,
    name: str,
    rounds: int,
    both_orders: float,
    reply_topic: str | None,
    journal: Path,
) -> None:
    """Rank the *.txt files of a folder; in prompt.txt may stand what to judge by."""
    assessment = Assessment(name, essays, both_orders)
    client = ComparisonClient(kafka, source_service="cj-example", reply_topic=reply_topic)
    try:
        asyncio.run(run(client, assessment, rounds, journal))
    except ClientError as error:
        raise SystemExit(str(error)) from error
    assessment.show()


if __name__ == "__main__":
    main()
