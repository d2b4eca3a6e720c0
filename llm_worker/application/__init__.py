"""In which order things happen: pipeline, orchestrator, and the ports they call."""
