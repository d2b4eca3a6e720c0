"""No request is built that the API would refuse: every known model, with every override.

The judge is the fake provider server, which knows the real APIs' rules.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from multidict import CIMultiDict

from llm_worker.adapters.providers.http_provider import HttpProvider
from llm_worker.bootstrap.providers.configured import build_provider
from llm_worker.contracts.request import OutputVerbosity, ReasoningEffort
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.dev.fake_providers import FakeProviderServer
from llm_worker.dev.fake_providers.exchange import Call
from llm_worker.domain.judging import Question
from llm_worker.domain.outcome import Repair
from llm_worker.settings import load_settings
from tests.support.fake_worker import pointing_at
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.adapters.providers.dialect import WireCall

_REPAIR = Repair(answer="The first one.", fault="it is not one JSON object")


def _questions(model: str) -> Iterator[Question]:
    for effort, temperature, verbosity, repair in product(
        (None, *ReasoningEffort), (None, 0.0, 1.5), (None, *OutputVerbosity), (None, _REPAIR)
    ):
        yield Question(
            model=model,
            system="Judge.",
            prompt="Essay A: dogs. Essay B: cats.",
            temperature=temperature,
            max_tokens=4096,
            effort=effort,
            verbosity=verbosity,
            repair=repair,
        )


def _as_call(call: WireCall) -> Call:
    path, _, query = call.path.partition("?")
    return Call(
        method="GET" if call.body is None else "POST",
        path=path,
        query=query,
        headers=CIMultiDict(call.headers),
        body=call.body,
    )


@pytest.mark.parametrize("name", [name for name in ProviderName if name is not ProviderName.MOCK])
def test_every_known_model_is_asked_as_its_api_wants_it(name: ProviderName) -> None:
    server = FakeProviderServer()
    provider = build_provider(load_settings(pointing_at(server, name)), name, ManualClock())
    assert isinstance(provider, HttpProvider)

    def objection_to(question: Question) -> Any:  # noqa: ANN401 - the API's own JSON
        call = provider.dialect.judge_call(question)
        objection = server._wires[name].objection(_as_call(call))
        return objection and orjson.loads(objection.body)

    known_to_both = [
        row.model
        for row in provider.models.rows(provider.default_model)
        if objection_to(next(_questions(row.model))) is None
    ]
    assert provider.default_model in known_to_both
    objections = [
        (question, objection)
        for model in known_to_both
        for question in _questions(model)
        if (objection := objection_to(question))
    ]
    assert objections == []
