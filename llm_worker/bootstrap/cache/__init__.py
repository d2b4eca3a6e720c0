"""What is remembered: from settings to the stores, here and in Redis."""
