"""Gemini's errors: a code, a status, and details by type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llm_worker.dev.fake_providers.behaviours import (
    AuthFailed,
    BadRequest,
    ContextTooLong,
    ErrorIn200,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    ServerError,
    Timeout504,
)

if TYPE_CHECKING:
    from llm_worker.dev.fake_providers.behaviours import Failure
    from llm_worker.dev.fake_providers.google_rules import Objection

_TYPES: Final = "type.googleapis.com/google.rpc."
_INVALID: Final = "INVALID_ARGUMENT"
_EXCEEDED: Final = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)
_PER_MINUTE: Final = "GenerateRequestsPerMinutePerProjectPerModel"
_PER_DAY: Final = "GenerateRequestsPerDayPerProjectPerModel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An error as the API words it."""

    code: int
    status: str
    message: str
    details: tuple[dict[str, Any], ...] = ()


NO_KEY: Final = Failed(
    code=403,
    status="PERMISSION_DENIED",
    message="Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form of API consumer identity to call this API.",
)
WRONG_KEY: Final = Failed(
    code=400,
    status=_INVALID,
    message="API key not valid. Please pass a valid API key.",
    details=(
        {
            "@type": f"{_TYPES}ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        },
    ),
)
_OVERLOADED: Final = Failed(
    code=503, status="UNAVAILABLE", message="The model is overloaded. Please try again later."
)
_FAILURES: Final[dict[type[Failure], Failed]] = {
    Overloaded: _OVERLOADED,
    ErrorIn200: _OVERLOADED,
    ServerError: Failed(code=500, status="INTERNAL", message="An internal error has occurred."),
    Timeout504: Failed(
        code=504,
        status="DEADLINE_EXCEEDED",
        message="Deadline expired before operation could complete.",
    ),
    BadRequest: Failed(
        code=400, status=_INVALID, message="Thinking level is not supported for this model."
    ),
    ContextTooLong: Failed(
        code=400,
        status=_INVALID,
        message="The input token count (1048577) exceeds the maximum number of tokens allowed "
        "(1048576).",
    ),
    AuthFailed: WRONG_KEY,
    PermissionDenied: Failed(
        code=403, status="PERMISSION_DENIED", message="The caller does not have permission"
    ),
}


def of(failure: Failure) -> Failed:
    """Word a failure."""
    match failure:
        case RateLimited(retry_after_s=None):
            return _exhausted(_PER_MINUTE, _EXCEEDED, None)
        case RateLimited(retry_after_s=float(seconds), form=form):
            message = f"{_EXCEEDED}\nPlease retry in {seconds:g}s."
            return _exhausted(_PER_MINUTE, message, seconds if form == "native" else None)
        case QuotaExhausted():
            # The delay comes with a day's quota, too, though waiting for it does not help.
            return _exhausted(_PER_DAY, f"{_EXCEEDED}\nPlease retry in 47.5s.", 47.5)
        case _:
            return _FAILURES[type(failure)]


def no_such_model(model: str, version: str) -> Failed:
    """Say that there is no such model in this version of the API."""
    return Failed(
        code=404,
        status="NOT_FOUND",
        message=f"models/{model} is not found for API version {version}, or is not supported for "
        "generateContent. Call ListModels to see the list of available models and their "
        "supported methods.",
    )


def no_such_page(path: str) -> Failed:
    """Say that nothing is there."""
    return Failed(code=404, status="NOT_FOUND", message=f"The path {path} was not found.")


def invalid(found: Objection) -> Failed:
    """Word what the rules found."""
    details: tuple[dict[str, Any], ...] = ()
    if found.field:
        violation = {"field": found.field, "description": found.message}
        details = ({"@type": f"{_TYPES}BadRequest", "fieldViolations": [violation]},)
    return Failed(code=400, status=_INVALID, message=found.message, details=details)


def body(failed: Failed) -> dict[str, Any]:
    """Render an error's body."""
    error: dict[str, Any] = {
        "code": failed.code,
        "message": failed.message,
        "status": failed.status,
    }
    if failed.details:
        error["details"] = failed.details
    return {"error": error}


def _exhausted(quota: str, message: str, retry_after_s: float | None) -> Failed:
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
        "quotaId": quota,
        "quotaDimensions": {"model": "gemini-3.8-flash", "location": "global"},
        "quotaValue": "1000",
    }
    link = {"description": "Learn more about Gemini API quotas", "url": "https://ai.google.dev/"}
    details: list[dict[str, Any]] = [
        {"@type": f"{_TYPES}QuotaFailure", "violations": [violation]},
        {"@type": f"{_TYPES}Help", "links": [link]},
    ]
    if retry_after_s is not None:
        details.append({"@type": f"{_TYPES}RetryInfo", "retryDelay": f"{retry_after_s:g}s"})
    return Failed(code=429, status="RESOURCE_EXHAUSTED", message=message, details=tuple(details))
