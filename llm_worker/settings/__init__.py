"""The only reader of the environment. Every setting is described in docs/settings.md."""

from __future__ import annotations

from llm_worker.settings.accountant import AccountantSettings
from llm_worker.settings.budget import AllowanceSettings, BudgetSettings
from llm_worker.settings.differing import differing, masked
from llm_worker.settings.faults import SettingsError
from llm_worker.settings.loading import load_settings
from llm_worker.settings.model import KafkaSettings, RuleSettings, Settings
from llm_worker.settings.names import variable_name
from llm_worker.settings.page import settings_example, settings_table
from llm_worker.settings.providers import FlatPriceSettings, ProviderSettings, RemoteSettings
from llm_worker.settings.runtime import (
    as_json,
    overlaid,
    parsed,
    require_runtime,
    runtime_variables,
    value_of,
)
from llm_worker.settings.tracing import are_traces_wanted

__all__ = [
    "AccountantSettings",
    "AllowanceSettings",
    "BudgetSettings",
    "FlatPriceSettings",
    "KafkaSettings",
    "ProviderSettings",
    "RemoteSettings",
    "RuleSettings",
    "Settings",
    "SettingsError",
    "are_traces_wanted",
    "as_json",
    "differing",
    "load_settings",
    "masked",
    "overlaid",
    "parsed",
    "require_runtime",
    "runtime_variables",
    "settings_example",
    "settings_table",
    "value_of",
    "variable_name",
]
