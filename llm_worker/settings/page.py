"""docs/settings.md, written from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from llm_worker.settings.names import variables

if TYPE_CHECKING:
    from llm_worker.settings.names import Variable

_HEAD = """\
# Settings

From lowest to highest: the defaults here, the TOML file, `.env` in the working directory, the
environment. The TOML file is `llm-worker.toml` in the working directory, or the one that
`LLM_WORKER_CONFIG` names; there `LLM_WORKER_KAFKA__GROUP` is the key `group` of the table
`[kafka]`. A setting with a second name may be given under either; both and different is an error
at start. So is an unknown `LLM_WORKER_` name; it suggests the nearest known one.

This page is generated from `llm_worker/settings/model.py`.

| variable | default | unit and meaning | also read from |
|---|---|---|---|
"""


def settings_table() -> str:
    """Render docs/settings.md."""
    return _HEAD + "".join(map(_row, variables().values()))


def _row(variable: Variable) -> str:
    alias = f"`{variable.alias}`" if variable.alias else ""
    default = _shown(variable.field.default)
    return f"| `{variable.name}` | {default} | {variable.field.description} | {alias} |\n"


def _shown(default: object) -> str:
    match default:
        case None | "":
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return f"`{','.join(default)}`"
        case SecretStr():
            return f"`{default.get_secret_value()}`"
        case _:
            return f"`{default}`"
