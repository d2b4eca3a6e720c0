"""`llm-worker`, and `python -m llm_worker`."""

from __future__ import annotations

from llm_worker.cli.app import cli


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    cli(prog_name="llm-worker")


if __name__ == "__main__":
    main()
