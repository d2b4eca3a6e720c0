"""`llm-worker completion`: the script with which a shell completes commands and what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import ShellComplete

_SHELLS: Final[Mapping[str, type[ShellComplete]]] = {
    "bash": BashComplete,
    "fish": FishComplete,
    "zsh": ZshComplete,
}
_PROGRAM: Final = "llm-worker"
_VARIABLE: Final = "_LLM_WORKER_COMPLETE"
"""What click reads in the environment when a shell asks for completions of `llm-worker`."""


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print the script that makes a shell complete commands, options, topics and settings.

    \b
    bash  eval "$(llm-worker completion bash)", in ~/.bashrc
    zsh   eval "$(llm-worker completion zsh)", in ~/.zshrc
    fish  llm-worker completion fish > ~/.config/fish/completions/llm-worker.fish
    """  # noqa: D301 - click wants the character, not the backslash
    root = ctx.find_root().command
    click.echo(_SHELLS[shell](root, {}, _PROGRAM, _VARIABLE).source())
