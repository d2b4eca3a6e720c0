"""The recorded answers are what the official SDKs' types say that the APIs send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anthropic.types
import openai.types.chat
import openrouter.components
import pytest
from google.genai import types

from llm_worker.contracts.vocabulary import ProviderName
from tests.support.recorded import names_of, recorded

if TYPE_CHECKING:
    from pydantic import BaseModel

_TYPES: dict[ProviderName, type[BaseModel]] = {
    ProviderName.ANTHROPIC: anthropic.types.Message,
    ProviderName.OPENAI: openai.types.chat.ChatCompletion,
    ProviderName.GOOGLE: types.GenerateContentResponse,
    ProviderName.OPENROUTER: openrouter.components.ChatResult,
}
_NOT_AS_TYPED = {
    # A reason that comes to be some day.
    "new_reason",
    # Documented at openrouter.ai/docs/api/reference/errors-and-debugging, and not in the types.
    "error_in_200",
    "error_in_200_with_usage",
    "error_in_200_too_long",
}
_ANSWERS = [
    (provider, name)
    for provider in _TYPES
    for name in sorted(names_of(provider))
    if recorded(provider, name).status == 200 and name not in _NOT_AS_TYPED
]


@pytest.mark.parametrize(("provider", "name"), _ANSWERS)
def test_an_answer_fits_the_sdk_s_types(provider: ProviderName, name: str) -> None:
    _TYPES[provider].model_validate(recorded(provider, name).body)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in sorted(names_of(ProviderName.OPENROUTER))
        if recorded(ProviderName.OPENROUTER, name).status != 200
    ],
)
def test_an_error_fits_the_sdk_s_types(name: str) -> None:
    openrouter.components.PaymentRequiredResponseErrorData.model_validate(
        recorded(ProviderName.OPENROUTER, name).body["error"]
    )
