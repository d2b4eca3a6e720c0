"""`llm-worker contract`, and what it needs."""
