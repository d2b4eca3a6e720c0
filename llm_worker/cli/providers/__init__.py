"""`llm-worker providers`, and what it needs."""
