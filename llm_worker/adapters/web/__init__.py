"""HTTP answers of the worker."""
