"""How Google refuses: the bodies of its errors. For the Google rehearsal."""

from collections.abc import Callable, Mapping
from typing import Any

from sitin.rehearsal.calendars.errors import ApiError


def refusal(
    status: int,
    reason: str,
    message: str,
    *,
    domain: str = "global",
    location: tuple[str, str] | None = None,
    canonical: str | None = None,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ApiError:
    """An error of the Calendar API.

    Args:
        status: The HTTP status.
        reason: What programs go by.
        message: What people read.
        domain: ``global``, ``calendar``, ``usageLimits`` or ``push``.
        location: Kind and name of what is wrong, e.g. ``("parameter", "syncToken")``.
        canonical: The name of the status, where Google gives it.
        detail: A reason in the newer form of errors.
        headers: Further headers.
    """
    item: dict[str, Any] = {"domain": domain, "reason": reason, "message": message}
    if location is not None:
        item["locationType"], item["location"] = location
    error: dict[str, Any] = {"errors": [item], "code": status, "message": message}
    if canonical is not None:
        error["status"] = canonical
    if detail is not None:
        error["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": detail,
                "domain": "googleapis.com",
                "metadata": {"service": "calendar-json.googleapis.com"},
            }
        ]
    return ApiError(status, {"error": error}, headers)


def invalid(parameter: str, message: str = "Invalid Value") -> ApiError:
    """A parameter that makes no sense."""
    return refusal(400, "invalid", message, location=("parameter", parameter))


def missing(what: str) -> ApiError:
    """Something required that is not there."""
    return refusal(400, "required", f"Missing {what}.")


def unauthorised() -> ApiError:
    """An access token that is not accepted."""
    return refusal(
        401,
        "authError",
        "Invalid Credentials",
        location=("header", "Authorization"),
        canonical="UNAUTHENTICATED",
        headers={
            "www-authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
        },
    )


def scope_missing() -> ApiError:
    """An access token without the scope that this needs."""
    return refusal(
        403,
        "insufficientPermissions",
        "Request had insufficient authentication scopes.",
        canonical="PERMISSION_DENIED",
        detail="ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    )


def not_found() -> ApiError:
    """No such calendar or event, or none that this account may see."""
    return refusal(404, "notFound", "Not Found")


def deleted() -> ApiError:
    """Something that is deleted already."""
    return refusal(410, "deleted", "Resource has been deleted")


def full_sync_required() -> ApiError:
    """A sync token that is not known any more."""
    return refusal(
        410,
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        domain="calendar",
        location=("parameter", "syncToken"),
    )


def range_empty() -> ApiError:
    """A time range that ends before it begins."""
    return refusal(
        400,
        "timeRangeEmpty",
        "The specified time range is empty.",
        domain="calendar",
        location=("parameter", "timeMax"),
    )


def writer_needed() -> ApiError:
    """A change by somebody who may only read."""
    return refusal(
        403,
        "requiredAccessLevel",
        "You need to have writer access to this calendar.",
        domain="calendar",
    )


def token_refusal(
    status: int,
    error: str,
    description: str,
    subtype: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> ApiError:
    """An error of the token endpoint."""
    body = {"error": error, "error_description": description}
    if subtype is not None:
        body["error_subtype"] = subtype
    return ApiError(status, body, headers)


def _retry(retry_after: int | None) -> dict[str, str]:
    return {} if retry_after is None else {"retry-after": str(retry_after)}


def push_refused() -> ApiError:
    """A calendar whose changes are not pushed, e.g. of holidays."""
    return refusal(
        400,
        "pushNotSupportedForRequestedResource",
        "Push notifications are not supported by this resource.",
        domain="calendar",
    )


def _limit(status: int, reason: str, message: str) -> Callable[[int | None], ApiError]:
    return lambda wait: refusal(status, reason, message, domain="usageLimits", headers=_retry(wait))


def _failure(status: int, reason: str, message: str) -> Callable[[int | None], ApiError]:
    return lambda wait: refusal(status, reason, message, headers=_retry(wait))


FAULTS: Mapping[str, Callable[[int | None], ApiError]] = {
    "rate_limited": _limit(403, "rateLimitExceeded", "Rate Limit Exceeded"),
    "rate_limited_429": _limit(429, "rateLimitExceeded", "Rate Limit Exceeded"),
    "user_rate_limited": _limit(403, "userRateLimitExceeded", "User Rate Limit Exceeded"),
    "quota_exceeded": _limit(403, "quotaExceeded", "Calendar usage limits exceeded."),
    "internal_error": _failure(500, "internalError", "Internal Error"),
    "backend_error": _failure(503, "backendError", "Backend Error"),
    "forbidden": _failure(403, "forbidden", "Forbidden"),
    "scope_missing": lambda _: scope_missing(),
    "unauthorised": lambda _: unauthorised(),
    "not_found": lambda _: not_found(),
    "gone": lambda _: full_sync_required(),
    "push_refused": lambda _: push_refused(),
}
"""name → an error that a fault gives; its argument is ``Retry-After`` in seconds, if any."""
