"""docs/settings.md and .env.example, written from the model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from llm_worker.settings.names import CONFIG, variables

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

Spans are set by OpenTelemetry's own names: [operations.md](operations.md#trace).

This page is generated from `llm_worker/settings/`.

| variable | default | unit and meaning | also read from |
|---|---|---|---|
"""

_EXAMPLE_HEAD: Final = f"""\
# Copy to .env, and uncomment what you change: each line has the default, one that ends with "="
# has none (but an empty FALLBACK is nobody). `llm-worker` reads .env in its working directory,
# `docker compose` the one here.
# One provider's key is enough to begin with, or LLM_WORKER_USE_MOCK_LLM=true.
# Generated from llm_worker/settings/; docs/settings.md says more.

# TOML file with more settings; what stands here comes before it.
# {CONFIG}=llm-worker.toml
"""

_EXAMPLE_TAIL: Final = """
# ---- OpenTelemetry ----
# URL of a collector, OTLP over HTTP/protobuf, such as http://127.0.0.1:4318; none: no traces. Read
# from the environment alone, into which `docker compose` puts this file.
# OTEL_EXPORTER_OTLP_ENDPOINT=
"""


def settings_table() -> str:
    """Render docs/settings.md; what several providers have is told once."""
    alike: dict[tuple[str, str, str | None], list[Variable]] = {}
    for variable in variables().values():
        row = (_general(variable.name), _shown(variable.field.default), variable.field.description)
        alike.setdefault(row, []).append(variable)
    return _HEAD + "".join(map(_row, alike.values()))


def settings_example() -> str:
    """Render .env.example: every setting, commented out, at its default."""
    groups: dict[str, list[Variable]] = {"": []}
    for variable in variables().values():
        groups.setdefault(variable.key.rpartition(".")[0], []).append(variable)
    return _EXAMPLE_HEAD + "".join(map(_group, groups, groups.values())) + _EXAMPLE_TAIL


def _group(name: str, group: list[Variable]) -> str:
    return f"\n# ---- {name or 'the process'} ----\n" + "".join(map(_line, group))


def _line(variable: Variable) -> str:
    also = f" Also read from {', '.join(variable.aliases)}." if variable.aliases else ""
    meaning = f"# {variable.field.description}{also}\n"
    return f"{meaning}# {variable.name}={_written(variable.field.default)}\n"


def _general(name: str) -> str:
    return _OF_A_PROVIDER.sub(_PROVIDER, name)


def _row(alike: list[Variable]) -> str:
    first = alike[0]
    name = first.name if len(alike) == 1 else _general(first.name)
    aliases = ", ".join(f"`{alias}`" for variable in alike for alias in variable.aliases)
    default = _shown(first.field.default)
    return f"| `{name}` | {default} | {first.field.description} | {aliases} |\n"


def _shown(default: object) -> str:
    return f"`{text}`" if (text := _written(default)) else "none"


def _written(default: object) -> str:
    """Write a default as the environment would have it; empty stands for none."""
    match default:
        case _ if default in (None, "", (), {}):
            return ""
        case bool():
            return str(default).lower()
        case tuple():
            return ",".join(map(str, default))
        case SecretStr():
            return default.get_secret_value()
        case _:
            return str(default)
