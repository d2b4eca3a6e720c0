"""`llm-worker cache`, and what it needs."""
