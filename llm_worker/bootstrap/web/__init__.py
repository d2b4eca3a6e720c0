"""What the processes answer over HTTP."""
