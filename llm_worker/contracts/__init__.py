"""The wire: pydantic models of every event, and the catalogue of topics."""
