"""What stands in for programs that cannot run in a test: they check what they are asked, no more.

A page's block says `docker compose up`, `kubectl apply`, `make test`. The engine is not here, or
the command is the one that runs this test, so such a command is not carried out. It fails if its
words cannot be right: a target, profile, service or file that there is not, a manifest that
Kubernetes would refuse, an extra that the package does not have.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]  # it ships no types
import yaml
from packaging.requirements import InvalidRequirement, Requirement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_WITH_VALUE: Final = frozenset(
    [
        "-c",
        "-e",
        "-f",
        "-k",
        "-l",
        "-n",
        "-p",
        "-t",
        "-v",
        "--container",
        "--env",
        "--env-file",
        "--file",
        "--from-env-file",
        "--namespace",
        "--network",
        "--name",
        "--profile",
        "--replicas",
        "--scale",
        "--selector",
        "--since",
        "--tag",
        "--tail",
        "--timeout",
        "--requirement",
        "-r",
    ]
)
_OF_NAMED_SERVICE: Final = frozenset({"exec", "run"})
_COMPOSE_VERBS: Final = frozenset(
    [
        "build",
        "config",
        "down",
        "exec",
        "logs",
        "ps",
        "pull",
        "restart",
        "run",
        "start",
        "stop",
        "up",
    ]
)
_DOCKER_VERBS: Final = frozenset(["images", "logs", "ps", "pull", "push", "run", "stop", "tag"])
_KUBECTL_VERBS: Final = frozenset(
    [
        "apply",
        "create",
        "delete",
        "describe",
        "exec",
        "get",
        "logs",
        "port-forward",
        "rollout",
        "run",
        "scale",
        "wait",
    ]
)
_KINDS: Final = {
    "cm": "ConfigMap",
    "configmap": "ConfigMap",
    "deploy": "Deployment",
    "deployment": "Deployment",
    "secret": "Secret",
    "service": "Service",
    "svc": "Service",
}
_NOT_OF_KUBERNETES: Final = ("keda.sh/", "kustomize.config.k8s.io/")


class RefusedError(Exception):
    """The command cannot be right."""


def make(words: Sequence[str]) -> None:
    """Check that the targets are there, and that the Makefile reads the variables given."""
    real = shutil.which("make", path=os.defpath) or "make"
    done = subprocess.run(  # noqa: S603 - asks make for its own targets
        [real, "-pRrq", ":"], capture_output=True, text=True, check=False
    )
    targets = set(re.findall(r"^([\w./-]+):", done.stdout, re.MULTILINE))
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            _demand(f"$({name})" in done.stdout, f"the Makefile reads no {name}")
        elif not word.startswith("-"):
            _demand(word in targets, f"no target {word}")


def docker(words: Sequence[str]) -> None:
    """Check what `docker build` builds and what `docker compose` names."""
    verb, *rest = words
    if verb == "compose":
        _compose(rest)
    elif verb == "build":
        options, given = _parse(rest)
        [folder] = given
        file = dict(options).get("-f") or f"{folder}/Dockerfile"
        _demand(Path(file).is_file(), f"no {file}")
    else:
        _demand(verb in _DOCKER_VERBS, f"not known here: docker {verb}")


def _compose(words: Sequence[str]) -> None:
    options, (verb, *given) = _parse(words)
    _demand(verb in _COMPOSE_VERBS, f"not known here: docker compose {verb}")
    files = [Path(value) for name, value in options if value and name in {"-f", "--file"}]
    content = yaml.safe_load((files or [Path("docker-compose.yml")])[0].read_text("utf-8"))
    check_services(content)
    services: dict[str, Any] = content["services"]
    profiles = {profile for each in services.values() for profile in each.get("profiles", ())}
    named = given[:1] if verb in _OF_NAMED_SERVICE else given
    for service in (*named, *(v.partition("=")[0] for n, v in options if n == "--scale")):
        _demand(service in services, f"no service {service} among {sorted(services)}")
    for profile in (value for name, value in options if name == "--profile"):
        _demand(profile in profiles, f"no profile {profile} among {sorted(profiles)}")


def check_services(content: object) -> None:
    """Check a file of services as docker compose would.

    Raises:
        jsonschema.ValidationError: It is not valid.
    """
    # Read as a file: with the click that Faust wants, the package itself cannot be imported.
    vendored = distribution("check-jsonschema").locate_file(
        "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    )
    schema = json.loads(Path(str(vendored)).read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(content)


def kubectl(words: Sequence[str]) -> None:
    """Check the manifests that are applied, and that what is named is in one of them."""
    options, (verb, *given) = _parse(words)
    _demand(verb in _KUBECTL_VERBS, f"not known here: kubectl {verb}")
    for name, value in options:
        if name == "-k":
            folder = Path(value)
            listed = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
            check_manifests([folder / each for each in listed["resources"]])
        elif value and name == "-f" and verb in {"apply", "create", "delete"}:
            file = Path(value)
            check_manifests(sorted(file.glob("*.yaml")) if file.is_dir() else [file])
    for word in given:
        kind, is_one, name = word.partition("/")
        if is_one and kind in _KINDS:
            _demand((_KINDS[kind], name) in set(_deployed()), f"no {word} in deploy/kubernetes")


def check_manifests(files: Sequence[Path]) -> None:
    """Check files as Kubernetes would.

    Raises:
        jsonschema.ValidationError: One is not valid.
    """
    for file in files:
        for document in yaml.safe_load_all(file.read_text("utf-8")):
            if not document["apiVersion"].startswith(_NOT_OF_KUBERNETES):
                newest = kubernetes_validate.latest_version()
                kubernetes_validate.validate(document, newest, strict=True)


def _deployed() -> Iterator[tuple[str, str]]:
    for file in Path("deploy/kubernetes").glob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text("utf-8")):
            if "metadata" in document:
                yield document["kind"], document["metadata"]["name"]


def pip(words: Sequence[str]) -> None:
    """Check that what is installed is this package, with extras that it has, or a file's list."""
    options, given = _parse(words)
    if given[:1] != ["install"]:
        return
    for name, value in options:
        if name in {"-r", "--requirement"}:
            _demand(Path(value).is_file(), f"no {value}")
        elif name == "-e":
            given.append(value)
    for word in given[1:]:
        wanted = re.sub(r"^\.(?=\[|$)", "llm-worker", word)
        try:
            requirement = Requirement(wanted)
        except InvalidRequirement as error:
            raise RefusedError(f"{word}: {error}") from error
        project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
        extras = set(project["optional-dependencies"])
        _demand(requirement.name == project["name"], f"{word} is not this package")
        _demand(requirement.extras <= extras, f"{word}: the extras are {sorted(extras)}")


def git(words: Sequence[str]) -> None:
    """Let `git clone` give this copy."""
    _, given = _parse(words)
    _demand(given[:1] == ["clone"], "only git clone")
    _, url, *to = given
    folder = Path(to[0] if to else Path(url).name.removesuffix(".git"))
    _demand(url.startswith(("https://", "git@")), f"{url} is no address to clone from")
    folder.symlink_to(Path.cwd())


def _parse(words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Take options and arguments apart; after `--` come words of another command."""
    options: list[tuple[str, str]] = []
    given: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        if word.startswith("--") and "=" in word:
            name, _, value = word.partition("=")
            options.append((name, value))
        elif word in _WITH_VALUE and not (word == "-f" and "logs" in given):
            options.append((word, next(rest, "")))
        elif word.startswith("-"):
            options.append((word, ""))
        else:
            given.append(word)
    return options, given


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise RefusedError(otherwise)


SHIMS: Final[Mapping[str, Callable[[Sequence[str]], None]]] = {
    "make": make,
    "docker": docker,
    "kubectl": kubectl,
    "pip": pip,
    "git": git,
}


def main(name: str, words: Sequence[str]) -> int:
    """Check a command; 0 if it may be right."""
    try:
        SHIMS[name](words)
    except (RefusedError, OSError, ValueError) as error:
        sys.stderr.write(f"{name} {' '.join(words)}: {error}\n")
        return 1
    except jsonschema.ValidationError as error:
        sys.stderr.write(f"{name} {' '.join(words)}: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
