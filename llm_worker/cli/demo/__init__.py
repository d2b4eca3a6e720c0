"""`llm-worker demo`, and what it needs."""
