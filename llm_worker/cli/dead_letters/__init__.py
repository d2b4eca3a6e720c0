"""`llm-worker dead-letters`, and what it needs."""
