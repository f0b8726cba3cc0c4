"""Google's token endpoint. For the Google rehearsal."""

from collections.abc import Mapping
from typing import Any

from sitin.rehearsal.calendars.accounts import TOKEN_LIFETIME, Grant, OAuthClient
from sitin.rehearsal.calendars.google.errors import token_refusal

_PREFIX = "https://www.googleapis.com/auth/"

CALENDAR = f"{_PREFIX}calendar"
CALENDAR_READ = f"{_PREFIX}calendar.readonly"
EVENTS = f"{_PREFIX}calendar.events"
EVENTS_READ = f"{_PREFIX}calendar.events.readonly"
LIST = f"{_PREFIX}calendar.calendarlist"
LIST_READ = f"{_PREFIX}calendar.calendarlist.readonly"
CALENDARS = f"{_PREFIX}calendar.calendars"
CALENDARS_READ = f"{_PREFIX}calendar.calendars.readonly"
EMAIL = f"{_PREFIX}userinfo.email"
PROFILE = f"{_PREFIX}userinfo.profile"
OPENID = "openid"

ALL = (
    CALENDAR,
    CALENDAR_READ,
    EVENTS,
    EVENTS_READ,
    LIST,
    LIST_READ,
    CALENDARS,
    CALENDARS_READ,
    EMAIL,
    PROFILE,
    OPENID,
)
"""The scopes that are known here. Source: the bundled discovery document of calendar v3."""

NEEDED: Mapping[str, frozenset[str]] = {
    "userinfo": frozenset({EMAIL, PROFILE, OPENID}),
    "calendarList": frozenset({CALENDAR, CALENDAR_READ, LIST, LIST_READ}),
    "calendars": frozenset({CALENDAR, CALENDAR_READ, CALENDARS, CALENDARS_READ}),
    "events.read": frozenset({CALENDAR, CALENDAR_READ, EVENTS, EVENTS_READ}),
    "events.write": frozenset({CALENDAR, EVENTS}),
    "channels": frozenset({CALENDAR, CALENDAR_READ, EVENTS, EVENTS_READ, LIST, LIST_READ}),
}
"""what is asked for → the scopes of which one is enough."""

ENDS: Mapping[str, tuple[int, str, str, str | None]] = {
    "revoked": (400, "invalid_grant", "Token has been expired or revoked.", None),
    "invalid_rapt": (
        400,
        "invalid_grant",
        "reauth related error (invalid_rapt)",
        "invalid_rapt",
    ),
    "rapt_required": (
        400,
        "invalid_grant",
        "reauth related error (rapt_required)",
        "rapt_required",
    ),
    "admin_policy_enforced": (
        400,
        "admin_policy_enforced",
        "Access to your account data is restricted by policies within your organization.",
        None,
    ),
    "unauthorized_client": (401, "unauthorized_client", "Unauthorized", None),
    "deleted_client": (401, "deleted_client", "The OAuth client was deleted.", None),
}
"""Why a grant is not good any more → status, error, description and subtype."""


def refresh(
    form: Mapping[str, str], clients: Mapping[str, OAuthClient], grants: Mapping[str, Grant]
) -> tuple[Grant, list[str]]:
    """The grant that a request stands on, and the scopes that it gets. Raises ``ApiError``.

    Args:
        form: The request's fields.
        clients: By id.
        grants: By every refresh token that there ever was.
    """
    if form.get("grant_type") != "refresh_token":
        raise token_refusal(
            400,
            "unsupported_grant_type",
            f"Invalid grant_type: {form.get('grant_type', '')}",
        )
    client_id = form.get("client_id")
    if not client_id:
        raise token_refusal(400, "invalid_request", "Could not determine client ID from request.")
    client = clients.get(client_id)
    if client is None:
        raise token_refusal(401, "invalid_client", "The OAuth client was not found.")
    if form.get("client_secret") != client.secret:
        raise token_refusal(401, "invalid_client", "The provided client secret is invalid.")
    token = form.get("refresh_token")
    if not token:
        raise token_refusal(400, "invalid_request", "Missing required parameter: refresh_token")
    grant = grants.get(token)
    if grant is None or token not in grant.refresh_tokens:
        raise token_refusal(400, "invalid_grant", "Bad Request")
    if grant.client is not client:
        raise token_refusal(401, "unauthorized_client", "Unauthorized")
    if grant.ended is not None:
        raise token_refusal(*ENDS[grant.ended])
    wanted = form.get("scope", "").split() or sorted(grant.scopes)
    if not set(wanted) <= grant.scopes:
        raise token_refusal(400, "invalid_scope", "Some requested scopes were invalid.")
    return grant, wanted


def answer(token: str, scopes: list[str]) -> dict[str, Any]:
    """What the token endpoint gives; never a refresh token."""
    return {
        "access_token": token,
        "expires_in": int(TOKEN_LIFETIME.total_seconds()),
        "scope": " ".join(scopes),
        "token_type": "Bearer",
    }
