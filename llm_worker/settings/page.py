"""docs/settings.md, written from the model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from llm_worker.settings.names import variables

if TYPE_CHECKING:
    from llm_worker.settings.names import Variable

_OF_A_PROVIDER: Final = re.compile(r"(?<=PROVIDERS__)(?:SELF_HOSTED|[A-Z]+)(?=__)")
_PROVIDER: Final = "<NAME>"

_HEAD: Final = """\
# Settings

From lowest to highest: the defaults here, the TOML file, `.env` in the working directory, the
environment. The TOML file is `llm-worker.toml` in the working directory, or the one that
`LLM_WORKER_CONFIG` names; there `LLM_WORKER_KAFKA__GROUP` is the key `group` of the table
`[kafka]`. A setting with a second name may be given under either; both and different is an error
at start. So is an unknown `LLM_WORKER_` name; it suggests the nearest known one.

`<NAME>` stands for ANTHROPIC, OPENAI, GOOGLE, OPENROUTER, SELF_HOSTED or MOCK; the mock has no key,
no base URL and no list of models.

In the TOML file a routing rule is a table:

```toml
[[routing.rules]]
targets = ["google/gemini-3.8-flash", "openai"]
strategy = "least_cost"
lane = "bulk"
organization = "school-*"
```

So is what an organisation or a provider may spend:

```toml
[budget.organizations.school-1]
daily_usd = "12.50"
hard = true
```

What begins with "Runtime:" can be changed while the processes run, with
`llm-worker config set budget.daily_usd 25`: the name is the TOML file's, and the value, kept in
the control topic, comes before the environment's in every process until `llm-worker config unset`.
`llm-worker config list` shows what holds and who has changed it.

This page is generated from `llm_worker/settings/`.

| variable | default | unit and meaning | also read from |
|---|---|---|---|
"""


def settings_table() -> str:
    """Render docs/settings.md; what several providers have is told once."""
    alike: dict[tuple[str, str, str | None], list[Variable]] = {}
    for variable in variables().values():
        row = (_general(variable.name), _shown(variable.field.default), variable.field.description)
        alike.setdefault(row, []).append(variable)
    return _HEAD + "".join(map(_row, alike.values()))


def _general(name: str) -> str:
    return _OF_A_PROVIDER.sub(_PROVIDER, name)


def _row(alike: list[Variable]) -> str:
    first = alike[0]
    name = first.name if len(alike) == 1 else _general(first.name)
    aliases = ", ".join(f"`{alias}`" for variable in alike for alias in variable.aliases)
    default = _shown(first.field.default)
    return f"| `{name}` | {default} | {first.field.description} | {aliases} |\n"


def _shown(default: object) -> str:
    match default:
        case _ if default in (None, "", (), {}):
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return f"`{','.join(map(str, default))}`"
        case SecretStr():
            return f"`{default.get_secret_value()}`"
        case _:
            return f"`{default}`"
