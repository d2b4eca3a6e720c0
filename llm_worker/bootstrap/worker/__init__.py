"""The worker: from settings to the process that buys verdicts."""
