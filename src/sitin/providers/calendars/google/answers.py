"""Which failure an answer of Google's is. Used by the provider beside it only.

Refusals of the token endpoint come as ``{error, error_description, error_subtype?}``, those of the
API as ``{error: {code, message, errors: [{reason, location?}], details: [{reason}]}}``. The status
alone does not tell: 403 is a missing permission and throttling alike.
"""

from pydantic import ValidationError

from sitin.contract.calendars import (
    AccessRefusedError,
    ConnectionStatus,
    CursorExpiredError,
    PushRefusedError,
    TokenExpiredError,
)
from sitin.contract.failures import RetriableError
from sitin.providers.calendars.asking import GoneError, Refusal, VendorClient, named
from sitin.providers.calendars.google.wire import Complaint, Reason, TokenComplaint

NAME = "Google Calendar"

_THROTTLED = frozenset(
    {"ratelimitexceeded", "rate_limit_exceeded", "userratelimitexceeded", "resource_exhausted"}
)
_SPENT = frozenset({"quotaexceeded", "dailylimitexceeded", "calendarusagelimitsexceeded"})
_SPENT_WAIT = 60.0  # seconds
_SCOPE_MISSING = frozenset({"insufficientpermissions", "access_token_scope_insufficient"})
_NOT_ENABLED = frozenset({"accessnotconfigured", "service_disabled"})
_CURSOR_PARAMETERS = frozenset({"synctoken", "pagetoken"})

SCOPE_MISSING = (
    "Google grants no access to calendars: ask for the scope calendar.readonly "
    "and have the account's owner tick it."
)


def refresh_failure(vendor: VendorClient, refusal: Refusal) -> Exception:
    """What a refused refresh means."""
    try:
        said = TokenComplaint.model_validate_json(refusal.body)
    except ValidationError:
        return vendor.unexpected(refusal, "renew the access")
    match said.error, said.error_subtype:
        case "invalid_grant", "invalid_rapt" | "rapt_required":
            return AccessRefusedError(
                "Google wants the account's owner to sign in again, as the organisation's policy "
                "says: give a new oauth_refresh_token.",
                status=ConnectionStatus.REVOKED,
            )
        case "invalid_grant", _:
            return AccessRefusedError(
                "Google does not accept the refresh token any more: it is revoked or expired; "
                "give a new oauth_refresh_token.",
                status=ConnectionStatus.REVOKED,
            )
        case (("invalid_client" | "unauthorized_client" | "deleted_client"), _):
            return AccessRefusedError(
                "Google does not know this OAuth client: check oauth_client_id and "
                "oauth_client_secret, and that the refresh token was given to this client.",
                status=ConnectionStatus.ERROR,
            )
        case "invalid_scope", _:
            return AccessRefusedError(SCOPE_MISSING, status=ConnectionStatus.PERMISSION_DENIED)
        case (("admin_policy_enforced" | "org_internal" | "access_denied"), _):
            return AccessRefusedError(
                "The organisation's Google policy does not let this OAuth client read calendars: "
                "its administrator has to allow it.",
                status=ConnectionStatus.PERMISSION_DENIED,
            )
        case _:
            return vendor.unexpected(refusal, "renew the access", named(said.error))


def api_failure(vendor: VendorClient, refusal: Refusal, doing: str) -> Exception:
    """What a refusal of the API's means."""
    reasons = [reason.reason for reason in _reasons(refusal) if reason.reason]
    lower = {reason.lower() for reason in reasons}
    if any(reason.startswith("push") for reason in lower):
        return PushRefusedError(
            "Google does not push changes of this calendar to this service; it is polled. "
            "Where other calendars are not pushed either, SITIN_PUBLIC_URL has to be an HTTPS "
            "address with a valid certificate."
        )
    if refusal.status == 401:
        return TokenExpiredError("Google does not accept the access token any more.")
    if lower & _THROTTLED:
        return vendor.passing(refusal, doing)
    if lower & _SPENT:
        return vendor.passing(refusal, doing, after=_SPENT_WAIT)
    if lower & _NOT_ENABLED:
        return AccessRefusedError(
            "The Google Calendar API is not enabled in the project of the OAuth client: "
            "enable it in the Google Cloud console.",
            status=ConnectionStatus.ERROR,
        )
    if lower & _SCOPE_MISSING:
        return AccessRefusedError(SCOPE_MISSING, status=ConnectionStatus.PERMISSION_DENIED)
    if refusal.status == 403 and lower:
        return AccessRefusedError(
            "Google does not let this account read the calendar: its owner or the organisation's "
            "administrator has to allow it.",
            status=ConnectionStatus.PERMISSION_DENIED,
        )
    if refusal.status in {404, 410} and lower:
        return calendar_gone()
    if "channelidnotunique" in lower:
        return RetriableError("Google has seen this channel's id before; another one will do.")
    return vendor.unexpected(refusal, doing, named(reasons[0]) if reasons else "")


def round_failure(vendor: VendorClient, refusal: Refusal, doing: str) -> Exception:
    """What a refusal of a page of events means: its token may be what is refused."""
    wrong = {(reason.location or "").lower() for reason in _reasons(refusal)}
    if refusal.status == 410 or wrong & _CURSOR_PARAMETERS:
        return CursorExpiredError()
    return api_failure(vendor, refusal, doing)


def calendar_gone() -> GoneError:
    """No such calendar, or what else was asked for."""
    return GoneError(
        "Google shows this account no such calendar: it was deleted, or is not shared any more."
    )


def _reasons(refusal: Refusal) -> list[Reason]:
    try:
        said = Complaint.model_validate_json(refusal.body)
    except ValidationError:
        return []
    return [*said.error.errors, *said.error.details]
