"""Buy comparison verdicts from LLM providers for requests on Kafka, and lose none."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("llm-worker")
