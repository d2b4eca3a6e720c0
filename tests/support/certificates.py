"""An authority of a test's own, and what it certifies; made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, each a PEM file."""

    certificate: Path
    key: Path

    @property
    def together(self) -> str:
        """Both, the key first, as Kafka wants its key store."""
        return self.key.read_text() + self.certificate.read_text()


def authority(directory: Path, name: str = "authority") -> Certificate:
    """Make an authority."""
    return _issued(directory, name, "-addext", "basicConstraints=critical,CA:TRUE")


def certified(directory: Path, name: str, by: Certificate) -> Certificate:
    """Make a certificate for a client of this name, or for a server that is at 127.0.0.1 alone."""
    issuer = ("-CA", str(by.certificate), "-CAkey", str(by.key))
    return _issued(directory, name, *issuer, "-addext", "subjectAltName=IP:127.0.0.1")


def _issued(directory: Path, name: str, *options: str) -> Certificate:
    made = Certificate(directory / f"{name}.pem", directory / f"{name}.key")
    subprocess.run(  # noqa: S603 - our own command
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-keyout", str(made.key), "-out", str(made.certificate), *options),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return made
