"""Buy comparison verdicts from LLM providers for requests on Kafka, and lose none."""

from __future__ import annotations

__version__ = "0.1.0"
