"""Which text is the address of a meeting, on which platform. Used by bots and, later, calendars."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from sitin.contract.codes import Platform
from sitin.platforms.addresses import Address, take_apart
from sitin.platforms.meet import urls as meet
from sitin.platforms.teams import urls as teams
from sitin.platforms.zoom import urls as zoom

PLATFORMS = (meet.ADDRESSES, teams.ADDRESSES, zoom.ADDRESSES)

LONGEST = 4096
"""Characters; no platform's links come near it, and every pattern here is linear in it."""

_WRAPPINGS = 3
"""How deep links are unwrapped: a mail gateway's link inside a search engine's, once encoded."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEMELESS = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MeetingUrl:
    """A meeting's address.

    Attributes:
        url: Normalised: the same meeting has the same one, however it was written.
        written: As it was written, out of the links that were wrapped around it; may hold what
            cannot stand in an address.
    """

    platform: Platform
    url: str
    written: str = field(compare=False)


def recognise(text: str) -> MeetingUrl | None:
    """Whose meeting this text leads to; ``None`` when it is no meeting of a known platform."""
    if len(text) > LONGEST or _CONTROL.search(text):
        return None
    for _ in range(_WRAPPINGS + 1):
        tidy = _tidy(text)
        address = take_apart(tidy)
        if address is None:
            return None
        inner = _unwrap(address)
        if inner is None:
            return _normalise(address, tidy)
        text = inner
    return None


def is_web_address(text: str) -> bool:
    """Whether the text has the form of an ``http(s)`` address at all."""
    return len(text) <= LONGEST and not _CONTROL.search(text) and take_apart(text) is not None


def _normalise(address: Address, written: str) -> MeetingUrl | None:
    for platform in PLATFORMS:
        url = platform.normalise(address)
        if url is not None:
            return MeetingUrl(platform.platform, url, written)
    return None


def _tidy(text: str) -> str:
    """Undo what mail programs, chats and shells do to an address."""
    text = text.strip().strip("\"'<>").rstrip(".,;")
    text = text.replace("\\?", "?").replace("\\=", "=").replace("\\&", "&")
    for _ in range(_WRAPPINGS):
        if text.lower().startswith(("https%3a", "http%3a")):
            text = unquote(text)
    if "://" not in text.partition("?")[0] and _SCHEMELESS.match(text):
        text = f"https://{text}"
    return text


def _unwrap(address: Address) -> str | None:
    """The address inside a mail gateway's, a search engine's or a booking page's link."""
    if address.host.endswith(".safelinks.protection.outlook.com"):
        return address.query.get("url", "")
    if address.host in ("google.com", "www.google.com") and address.path == "/url":
        return address.query.get("q") or address.query.get("url") or ""
    if address.host == "visit.teams.microsoft.com":
        return address.query.get("JoinWebUrl", "")
    return None
