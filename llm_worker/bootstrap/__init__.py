"""The composition root: the only place that names concrete classes and reads settings.

This module is what every command needs, and imports little. `worker.app` builds the worker,
`accountant.app` the accountant.
"""

from __future__ import annotations

from llm_worker.bootstrap.connection import catalog, kafka_options
from llm_worker.settings import Settings, SettingsError, load_settings

__all__ = ["Settings", "SettingsError", "catalog", "kafka_options", "load_settings"]
