"""What the worker costs, beside what its parts cost: see docs/performance.md."""
