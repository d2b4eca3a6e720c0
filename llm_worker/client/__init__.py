"""What callers import: submit comparison requests, await their results."""
