"""Entra's token endpoint. For the Microsoft rehearsal."""

from collections.abc import Mapping
from typing import Any

from sitin.rehearsal.calendars.accounts import TOKEN_LIFETIME, Grant, OAuthClient
from sitin.rehearsal.calendars.microsoft.errors import token_refusal

RESOURCE = "https://graph.microsoft.com/"

CALENDARS_READ = f"{RESOURCE}Calendars.Read"
CALENDARS_READ_WRITE = f"{RESOURCE}Calendars.ReadWrite"
USER_READ = f"{RESOURCE}User.Read"
OFFLINE = "offline_access"
OPENID = "openid"
PROFILE = "profile"
EMAIL = "email"

ALL = (CALENDARS_READ, CALENDARS_READ_WRITE, USER_READ, OFFLINE, OPENID, PROFILE, EMAIL)
"""The scopes that are known here."""

NEEDED: Mapping[str, frozenset[str]] = {
    "user": frozenset({USER_READ}),
    "calendars.read": frozenset({CALENDARS_READ, CALENDARS_READ_WRITE}),
    "calendars.write": frozenset({CALENDARS_READ_WRITE}),
}
"""what is asked for → the scopes of which one is enough."""

_DEFAULT = f"{RESOURCE}.default"
_OWN_NAMES = frozenset({OFFLINE, OPENID, PROFILE, EMAIL})

ENDS: Mapping[str, tuple[int, str, int, str, str | None]] = {
    "revoked": (
        400,
        "invalid_grant",
        50173,
        "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
        None,
    ),
    "invalid": (400, "invalid_grant", 70000, "The provided grant is invalid.", None),
    "idle": (
        400,
        "invalid_grant",
        700082,
        "The refresh token has expired due to inactivity.",
        None,
    ),
    "disabled_user": (400, "invalid_grant", 50057, "The user account is disabled.", None),
    "sign_in_frequency": (
        400,
        "invalid_grant",
        70043,
        "The refresh token has expired or is invalid due to sign-in frequency checks.",
        "token_expired",
    ),
    "consent_required": (
        400,
        "invalid_grant",
        65001,
        "The user or administrator has not consented to use the application.",
        "consent_required",
    ),
    "admin_consent": (
        400,
        "consent_required",
        90094,
        "The grant requires administrator permission.",
        None,
    ),
    "mfa": (
        400,
        "interaction_required",
        50076,
        "You must use multi-factor authentication to access the resource.",
        "basic_action",
    ),
    "mfa_as_invalid_grant": (
        400,
        "invalid_grant",
        50079,
        "The user is required to use multi-factor authentication.",
        "basic_action",
    ),
    "conditional_access": (
        400,
        "interaction_required",
        53003,
        "Access has been blocked by Conditional Access policies.",
        "message_only",
    ),
    "secret_expired": (
        401,
        "invalid_client",
        7000222,
        "The provided client secret keys are expired.",
        None,
    ),
    "unauthorized_client": (
        400,
        "unauthorized_client",
        700016,
        "The application was not found in the directory.",
        None,
    ),
}
"""Why a grant is not good any more → status, error, number, description and suberror."""


def refresh(
    form: Mapping[str, str], clients: Mapping[str, OAuthClient], grants: Mapping[str, Grant]
) -> tuple[Grant, list[str]]:
    """The grant that a request stands on, and the scopes that it asks for. Raises ``ApiError``.

    Args:
        form: The request's fields.
        clients: By id.
        grants: By every refresh token that there ever was.
    """
    for name in ("client_id", "grant_type"):
        if not form.get(name):
            raise _missing(name)
    if form["grant_type"] != "refresh_token":
        raise token_refusal(
            400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."
        )
    client = clients.get(form["client_id"])
    if client is None:
        raise token_refusal(*ENDS["unauthorized_client"])
    if form.get("client_secret") != client.secret:
        raise token_refusal(401, "invalid_client", 7000215, "Invalid client secret provided.")
    token = form.get("refresh_token")
    if not token:
        raise _missing("refresh_token")
    grant = grants.get(token)
    if grant is None or token not in grant.refresh_tokens or grant.client is not client:
        raise token_refusal(*ENDS["invalid"])
    if grant.ended is not None:
        raise token_refusal(*ENDS[grant.ended])
    asked = [full_name(scope) for scope in form.get("scope", "").split()]
    if not asked or _DEFAULT in asked:
        asked = sorted(grant.scopes)
    if not set(asked) <= grant.scopes | _OWN_NAMES:
        raise token_refusal(*ENDS["consent_required"])
    return grant, asked


def answer(token: str, scopes: list[str], refresh_token: str | None) -> dict[str, Any]:
    """What the token endpoint gives, with the new refresh token if there is one."""
    lifetime = int(TOKEN_LIFETIME.total_seconds())
    given: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": " ".join(scope for scope in scopes if scope != OFFLINE),
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": token,
    }
    return given if refresh_token is None else {**given, "refresh_token": refresh_token}


def full_name(scope: str) -> str:
    """A scope with its resource, as it is granted."""
    return scope if scope in _OWN_NAMES or scope.startswith("https://") else RESOURCE + scope


def _missing(name: str) -> Exception:
    return token_refusal(
        400,
        "invalid_request",
        900144,
        f"The request body must contain the following parameter: '{name}'.",
    )
