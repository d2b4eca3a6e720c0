"""The only reader of the environment. Every setting is described in docs/settings.md."""

from __future__ import annotations

from llm_worker.settings.loading import SettingsError, load_settings
from llm_worker.settings.model import (
    BreakerSettings,
    CacheSettings,
    KafkaSettings,
    LogSettings,
    MockSettings,
    ProvidersSettings,
    Settings,
    WebSettings,
)
from llm_worker.settings.page import settings_table

__all__ = [
    "BreakerSettings",
    "CacheSettings",
    "KafkaSettings",
    "LogSettings",
    "MockSettings",
    "ProvidersSettings",
    "Settings",
    "SettingsError",
    "WebSettings",
    "load_settings",
    "settings_table",
]
