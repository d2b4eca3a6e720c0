"""`llm-worker doctor`, and what it needs."""
