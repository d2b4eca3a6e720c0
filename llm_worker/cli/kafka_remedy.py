"""Which setting to look at when Kafka cannot be used, by what was said about it."""

from __future__ import annotations

import re
from typing import Final

# The first that fits. What aiokafka, OpenSSL and the broker say has no codes that reach us.
_REMEDIES: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (
            r"(?:Hostname|IP address) mismatch",
            (
                "Set LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS to names that stand in the broker's "
                "certificate, or have it made anew."
            ),
        ),
        (
            r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
            (
                "Set LLM_WORKER_KAFKA__SSL_CAFILE to the authority that signed the broker's "
                "certificate."
            ),
        ),
        (
            r"(?i)alert[ _](?:bad[ _])?(?:certificate|unknown[ _]ca)|certificate[ _]required",
            (
                "Set LLM_WORKER_KAFKA__SSL_CERTFILE and LLM_WORKER_KAFKA__SSL_KEYFILE to a "
                "certificate that the broker trusts."
            ),
        ),
        (
            r"UnsupportedSaslMechanism",
            "Set LLM_WORKER_KAFKA__SASL_MECHANISM to one that the broker offers.",
        ),
        (
            r"Authentication ?[Ff]ailed",
            (
                "Set LLM_WORKER_KAFKA__SASL_USERNAME and LLM_WORKER_KAFKA__SASL_PASSWORD to a "
                "login that the broker knows for LLM_WORKER_KAFKA__SASL_MECHANISM."
            ),
        ),
        (
            (
                r"WRONG_VERSION_NUMBER|closes the connection|Connection at \S+ closed"
                r"|ConnectionReset|Connection reset|IncompleteRead"
            ),
            (
                "Set LLM_WORKER_KAFKA__SECURITY_PROTOCOL to what that port speaks: with or without "
                "TLS, with or without a login."
            ),
        ),
    )
)


def remedy_for(words: str) -> str | None:
    """Name the setting and what to set it to; None where the words do not tell."""
    return next((remedy for pattern, remedy in _REMEDIES if pattern.search(words)), None)
