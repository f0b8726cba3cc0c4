"""Which failure an answer of Microsoft's is. Used by the provider beside it only.

Refusals of the token endpoint come as ``{error, error_description, error_codes, suberror?}``; the
vendor asks to branch on ``error``. Those of Graph come as ``{error: {code, message, innerError}}``,
where the code that matters may be nested, in any letter case.
"""

from pydantic import ValidationError

from sitin.contract.calendars import (
    AccessRefusedError,
    ConnectionStatus,
    CursorExpiredError,
    LicenseRequiredError,
    PushRefusedError,
    TokenExpiredError,
    UnreadableAnswerError,
)
from sitin.providers.calendars.asking import GoneError, Refusal, VendorClient, named
from sitin.providers.calendars.microsoft.wire import Complaint, TokenComplaint

NAME = "Microsoft Graph"

_CONSENT_CODES = frozenset({65001, 65004, 90094})
_NO_MAILBOX = ("mailboxnotenabledforrestapi", "mailboxnotsupportedforrestapi")
_CURSOR_CODES = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired"})
_NO_SUCH_ID = "errorinvalidid"

SCOPE_MISSING = (
    "Microsoft grants no access to calendars: ask for the permissions Calendars.Read and "
    "offline_access, and have the account's owner or administrator consent to them."
)
WRONG_TENANT = (
    "oauth_tenant_id is no tenant: give its id, its domain, or common, organizations or consumers."
)


def refresh_failure(vendor: VendorClient, refusal: Refusal) -> Exception:
    """What a refused refresh means."""
    try:
        said = TokenComplaint.model_validate_json(refusal.body)
    except ValidationError:
        return vendor.unexpected(refusal, "renew the access")
    wants_consent = said.suberror == "consent_required" or not _CONSENT_CODES.isdisjoint(
        said.error_codes
    )
    match said.error:
        case "temporarily_unavailable":
            return vendor.passing(refusal, "renew the access")
        case "consent_required" | "invalid_scope" | "access_denied":
            return AccessRefusedError(SCOPE_MISSING, status=ConnectionStatus.PERMISSION_DENIED)
        case "invalid_grant" | "interaction_required" if wants_consent:
            return AccessRefusedError(SCOPE_MISSING, status=ConnectionStatus.PERMISSION_DENIED)
        case "invalid_grant":
            return AccessRefusedError(
                "Microsoft does not accept the refresh token any more: it is revoked, expired or "
                "unused for too long; give a new oauth_refresh_token.",
                status=ConnectionStatus.REVOKED,
            )
        case "interaction_required" | "login_required":
            return AccessRefusedError(
                "Microsoft wants the account's owner to sign in again, as the organisation's "
                "policy says: give a new oauth_refresh_token.",
                status=ConnectionStatus.REVOKED,
            )
        case "invalid_client" | "unauthorized_client":
            return AccessRefusedError(
                "Microsoft does not accept this OAuth client: check oauth_client_id, whether the "
                "secret in oauth_client_secret has expired, and whether the client is registered "
                "for this tenant.",
                status=ConnectionStatus.ERROR,
            )
        case "invalid_request":
            return AccessRefusedError(
                "Microsoft does not accept the request for access: check oauth_tenant_id, "
                "oauth_client_id and oauth_refresh_token.",
                status=ConnectionStatus.ERROR,
            )
        case _:
            return vendor.unexpected(refusal, "renew the access", named(said.error))


def graph_failure(vendor: VendorClient, refusal: Refusal, doing: str) -> Exception:
    """What a refusal of Graph's means."""
    codes = _codes(refusal)
    lower = {code.lower() for code in codes}
    if any(no_mailbox in code for no_mailbox in _NO_MAILBOX for code in lower):
        return LicenseRequiredError(
            "This Microsoft account has no mailbox in the cloud: it needs a Microsoft 365 license "
            "with Exchange Online."
        )
    if refusal.status == 401:
        return TokenExpiredError("Microsoft does not accept the access token any more.")
    if refusal.status == 403 and lower:
        return AccessRefusedError(SCOPE_MISSING, status=ConnectionStatus.PERMISSION_DENIED)
    no_such_id = any(code.startswith(_NO_SUCH_ID) for code in lower)
    if (refusal.status in {404, 410} and lower) or no_such_id:
        return calendar_gone()
    return vendor.unexpected(refusal, doing, named(codes[0]) if codes else "")


def round_failure(vendor: VendorClient, refusal: Refusal, doing: str) -> Exception:
    """What a refusal of a page of delta means: its link may be what is refused."""
    if refusal.status == 410 or {code.lower() for code in _codes(refusal)} & _CURSOR_CODES:
        return CursorExpiredError()
    return graph_failure(vendor, refusal, doing)


def push_failure(vendor: VendorClient, refusal: Refusal, doing: str) -> Exception:
    """What a refusal to push means: Graph tells why in prose only."""
    failure = graph_failure(vendor, refusal, doing)
    codes = {code.lower() for code in _codes(refusal)}
    unexplained = isinstance(failure, UnreadableAnswerError) and refusal.status in {400, 409, 422}
    # Too many subscriptions are a 403 as well, which says nothing about reading.
    forbidden = type(failure) is AccessRefusedError and "erroraccessdenied" not in codes
    if unexplained or forbidden:
        return PushRefusedError(
            "Microsoft does not push this calendar's changes to this service; it is polled. "
            "Where other calendars are not pushed either, SITIN_PUBLIC_URL has to be an HTTPS "
            "address that Microsoft reaches."
        )
    return failure


def calendar_gone() -> GoneError:
    """No such calendar, or what else was asked for."""
    return GoneError(
        "Microsoft shows this account no such calendar: it was deleted, or is not shared any more."
    )


def _codes(refusal: Refusal) -> tuple[str, ...]:
    try:
        return Complaint.model_validate_json(refusal.body).error.codes
    except ValidationError:
        return ()
