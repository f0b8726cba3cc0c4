"""Google's notification channels. For the Google rehearsal.

A notification has no body and says no more than that something has changed. Its message numbers
rise and are not consecutive.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from sitin.rehearsal.calendars.accounts import Grant
from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.google.errors import missing, not_found, push_refused, refusal
from sitin.rehearsal.calendars.pushes import Push

LIFETIME = timedelta(seconds=604_800)
"""How long a channel lives unless it asks for less, and at most."""

_LONGEST_ID = 64
_LONGEST_TOKEN = 256
_AGAIN = frozenset({500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Channel:
    """Somebody who wants to be told when a calendar changes."""

    id: str
    resource_id: str
    resource_uri: str
    calendar: Calendar
    grant: Grant
    address: str
    token: str | None
    expires_at: datetime

    @property
    def expiration(self) -> str:
        """Milliseconds since 1970, as Google writes a long number."""
        return str(int(self.expires_at.timestamp() * 1000))

    def push(self, state: str, number: int) -> Push:
        """A notification."""
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
            "x-goog-channel-id": self.id,
            "x-goog-channel-expiration": format_datetime(self.expires_at, usegmt=True),
            "x-goog-message-number": str(number),
            "x-goog-resource-id": self.resource_id,
            "x-goog-resource-state": state,
            "x-goog-resource-uri": self.resource_uri,
        }
        if self.token is not None:
            headers["x-goog-channel-token"] = self.token
        return Push(self.id, self.address, headers, None, _AGAIN.__contains__)

    def render(self) -> dict[str, Any]:
        """What ``watch`` answers."""
        shown = {
            "kind": "api#channel",
            "id": self.id,
            "resourceId": self.resource_id,
            "resourceUri": self.resource_uri,
            "expiration": self.expiration,
        }
        return shown if self.token is None else {**shown, "token": self.token}


class Channels:
    """All channels of the provider.

    Attributes:
        longest: How long a channel may live.
        only_https: Whether addresses on this machine have to be HTTPS as well.
    """

    def __init__(self) -> None:
        self.longest = LIFETIME
        self.only_https = False
        self._open: dict[str, Channel] = {}
        self._ids: set[str] = set()

    def __iter__(self) -> Iterator[Channel]:
        """Those that were not stopped, the expired ones among them."""
        return iter(list(self._open.values()))

    def watch(
        self, body: Mapping[str, Any], calendar: Calendar, grant: Grant, *, now: datetime, api: str
    ) -> Channel:
        """Open a channel. Raises ``ApiError``.

        Args:
            body: The request's.
            calendar: What is watched.
            grant: Who watches.
            now: The clock's time.
            api: The address of the API, for the resource's own.
        """
        channel_id = _text(body, "id", _LONGEST_ID)
        if body.get("type") not in ("web_hook", "webhook"):
            raise refusal(
                400, "push.channelTypeNotSupported", "Unsupported channel type", domain="push"
            )
        address = _text(body, "address", 2048)
        self._check_address(address)
        if not calendar.pushes:
            raise push_refused()
        if channel_id in self._ids:
            raise refusal(400, "channelIdNotUnique", f"Channel id {channel_id} not unique")
        token = _text(body, "token", _LONGEST_TOKEN) if body.get("token") is not None else None
        expires_at = min(_expiry(body, now), now + self.longest)
        if expires_at <= now:
            raise refusal(400, "invalid", "Invalid expiration time.")
        # To the millisecond, as it is told.
        expires_at = expires_at.replace(microsecond=expires_at.microsecond // 1000 * 1000)
        owner = f"{calendar.id} {grant.account.email}"
        channel = Channel(
            id=channel_id,
            resource_id=hashlib.sha256(owner.encode()).hexdigest()[:27],
            resource_uri=f"{api}/calendar/v3/calendars/{quote(calendar.id)}/events?alt=json",
            calendar=calendar,
            grant=grant,
            address=address,
            token=token,
            expires_at=expires_at,
        )
        self._open[channel_id] = channel
        self._ids.add(channel_id)
        return channel

    def stop(self, body: Mapping[str, Any], grant: Grant) -> None:
        """Close a channel, as the same user and client. Raises ``ApiError``."""
        channel_id, resource_id = body.get("id"), body.get("resourceId")
        if not isinstance(channel_id, str) or not isinstance(resource_id, str):
            raise missing("channel id or resource id")
        channel = self._open.get(channel_id)
        if (
            channel is None
            or channel.resource_id != resource_id
            or (channel.grant.account, channel.grant.client) != (grant.account, grant.client)
        ):
            raise not_found()
        del self._open[channel_id]

    def about(self, calendar: Calendar, now: datetime) -> Sequence[Channel]:
        """Who is told of a calendar's changes."""
        return [
            channel
            for channel in self._open.values()
            if channel.calendar is calendar and channel.expires_at > now
        ]

    def _check_address(self, address: str) -> None:
        parts = urlsplit(address)
        local = parts.hostname in ("127.0.0.1", "localhost", "::1") and not self.only_https
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise refusal(
                400,
                "push.webhookUrlNotHttps",
                f"WebHook callback must be HTTPS: {address}",
                domain="push",
            )


def _text(body: Mapping[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise missing(f"channel {name}")
    if len(value) > longest:
        raise refusal(400, "invalid", f"Channel {name} is longer than {longest} characters.")
    return value


def _expiry(body: Mapping[str, Any], now: datetime) -> datetime:
    try:
        if body.get("expiration") is not None:
            return datetime.fromtimestamp(int(body["expiration"]) / 1000, UTC)
        ttl = (body.get("params") or {}).get("ttl")
        return now + (LIFETIME if ttl is None else timedelta(seconds=int(ttl)))
    except (TypeError, ValueError, OverflowError, AttributeError):
        raise refusal(400, "invalid", "Invalid expiration time.") from None
