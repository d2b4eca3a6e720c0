"""`llm-worker`, and `python -m llm_worker`."""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    _prepare_streams()
    try:
        # Not before, so that Ctrl-C ends well while this is imported, too.
        from llm_worker.cli.app import cli  # noqa: PLC0415 - see above

        cli(prog_name="llm-worker")
    except KeyboardInterrupt:
        sys.exit(1)
    except OSError as error:  # of the help, which no command prints
        sys.exit(f"Error: {error.strerror or error}")
    finally:
        _drop_unwritten()


def _prepare_streams() -> None:
    # Whoever is started with a closed one must not get a file or socket in its place.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a character shows its number instead, as it does on stderr.
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_unwritten() -> None:
    # Every command flushes what it prints, and has told why it could not be written. Python would
    # try again while it ends, and end with 120.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
