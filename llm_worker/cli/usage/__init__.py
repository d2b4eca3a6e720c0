"""`llm-worker usage`, and what it needs."""
