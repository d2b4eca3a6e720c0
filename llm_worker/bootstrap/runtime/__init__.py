"""Settings that change while the processes run."""
