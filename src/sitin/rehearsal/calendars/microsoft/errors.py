"""How Microsoft refuses: the bodies of Graph's and Entra's errors. For the Microsoft rehearsal."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from sitin.rehearsal.calendars.errors import ApiError


def refusal(
    status: int,
    code: str,
    message: str,
    *,
    inner: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ApiError:
    """An error of Graph.

    Args:
        status: The HTTP status.
        code: What programs go by.
        message: What people read.
        inner: A code that stands in the inner error.
        headers: Further headers.
    """
    request_id = str(uuid4())
    details: dict[str, Any] = {"request-id": request_id, "client-request-id": request_id}
    if inner is not None:
        details["code"] = inner
    body = {"error": {"code": code, "message": message, "innerError": details}}
    return ApiError(status, body, {"request-id": request_id, **(headers or {})})


def token_refusal(
    status: int,
    error: str,
    number: int,
    description: str,
    suberror: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> ApiError:
    """An error of Entra's token endpoint; ``number`` is what stands after AADSTS."""
    trace, correlation = str(uuid4()), str(uuid4())
    body: dict[str, Any] = {
        "error": error,
        "error_description": (
            f"AADSTS{number}: {description} Trace ID: {trace} Correlation ID: {correlation}"
        ),
        "error_codes": [number],
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }
    if suberror is not None:
        body["suberror"] = suberror
    return ApiError(status, body, headers)


def unauthorised() -> ApiError:
    """An access token that is not accepted."""
    return refusal(
        401,
        "InvalidAuthenticationToken",
        "Access token has expired or is not yet valid.",
        headers={"www-authenticate": 'Bearer realm="", error="invalid_token"'},
    )


def access_denied() -> ApiError:
    """An access token without the scope that this needs."""
    return refusal(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def not_found() -> ApiError:
    """No such calendar or event."""
    return refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def no_subscription() -> ApiError:
    """No such subscription."""
    return refusal(404, "ResourceNotFound", "The object was not found.")


def invalid(message: str, code: str = "ErrorInvalidParameter") -> ApiError:
    """A parameter or a body that makes no sense."""
    return refusal(400, code, message)


def sync_state_gone(code: str = "SyncStateNotFound", *, location: str | None = None) -> ApiError:
    """A delta link that is not known any more."""
    return refusal(
        410,
        code,
        "The sync state generation is not found; a full synchronization is required.",
        headers=None if location is None else {"location": location},
    )


def over_concurrency() -> ApiError:
    """Too many requests to one mailbox at a time."""
    return refusal(
        429,
        "ApplicationThrottled",
        "Application is over its MailboxConcurrency limit.",
        headers={"retry-after": "1"},
    )


def _retry(retry_after: int | None) -> dict[str, str]:
    return {} if retry_after is None else {"retry-after": str(retry_after)}


def _failure(status: int, code: str, message: str) -> Callable[[int | None], ApiError]:
    return lambda wait: refusal(status, code, message, headers=_retry(wait))


_NO_MAILBOX = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."

FAULTS: Mapping[str, Callable[[int | None], ApiError]] = {
    "throttled": _failure(429, "TooManyRequests", "Too many requests."),
    "service_unavailable": _failure(503, "ServiceUnavailable", "The service is unavailable."),
    "gateway_timeout": _failure(504, "GatewayTimeout", "The request timed out."),
    "internal_error": _failure(500, "InternalServerError", "Something went wrong."),
    "access_denied": lambda _: access_denied(),
    "unauthorised": lambda _: unauthorised(),
    "not_found": lambda _: not_found(),
    "gone": lambda _: sync_state_gone(),
    "gone_lower_case": lambda _: sync_state_gone("syncStateNotFound"),
    "resync_required": lambda _: sync_state_gone("resyncRequired"),
    "mailbox_not_enabled": _failure(404, "MailboxNotEnabledForRESTAPI", _NO_MAILBOX),
    "mailbox_not_supported": _failure(404, "MailboxNotSupportedForRESTAPI", _NO_MAILBOX),
    "mailbox_nested": lambda _: refusal(
        404, "NotFound", "The resource could not be found.", inner="mailboxNotEnabledForRestApi"
    ),
    "mailbox_forbidden": _failure(403, "MailboxNotEnabledForRESTAPI", _NO_MAILBOX),
    "push_refused": _failure(
        400,
        "ValidationError",
        "Subscription validation request failed. Notification endpoint must respond with 200 OK "
        "to validation request.",
    ),
}
"""name → an error that a fault gives; its argument is ``Retry-After`` in seconds, if any."""
