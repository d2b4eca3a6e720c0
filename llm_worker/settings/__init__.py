"""The only reader of the environment. Every setting is described in docs/settings.md."""

from __future__ import annotations

from llm_worker.settings.loading import SettingsError, load_settings
from llm_worker.settings.model import KafkaSettings, RuleSettings, Settings
from llm_worker.settings.names import variable_name
from llm_worker.settings.page import settings_table
from llm_worker.settings.providers import FlatPriceSettings, ProviderSettings, RemoteSettings

__all__ = [
    "FlatPriceSettings",
    "KafkaSettings",
    "ProviderSettings",
    "RemoteSettings",
    "RuleSettings",
    "Settings",
    "SettingsError",
    "load_settings",
    "settings_table",
    "variable_name",
]
