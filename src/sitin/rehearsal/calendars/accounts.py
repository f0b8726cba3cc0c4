"""Accounts at a provider, what they let whom read, and the tokens for it. For both providers.

There are no consent pages: an account comes with a grant, whose refresh token a test or a person
gives to the client under rehearsal.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.errors import CalendarControlError, UnknownError
from sitin.rehearsal.calendars.times import read_zone

TOKEN_LIFETIME = timedelta(seconds=3599)
"""How long an access token lives, at both providers."""


class Role(StrEnum):
    """What an account may do with a calendar, as Google names it."""

    FREE_BUSY = "freeBusyReader"
    READER = "reader"
    LIMITED_WRITER = "writerWithoutPrivateAccess"
    WRITER = "writer"
    OWNER = "owner"

    @property
    def writes(self) -> bool:
        """Whether it may change events."""
        return self in (Role.LIMITED_WRITER, Role.WRITER, Role.OWNER)

    @property
    def sees_private(self) -> bool:
        """Whether it may see what private events are about."""
        return self in (Role.WRITER, Role.OWNER)


@dataclass
class OAuthClient:
    """An application that accounts let in. Another secret is one that was rotated."""

    id: str
    secret: str


@dataclass(eq=False)
class AccessToken:
    """What a request carries."""

    text: str
    grant: "Grant"
    scopes: frozenset[str]
    expires_at: datetime
    dead: bool = False
    """Not accepted any more, whatever its time."""


@dataclass
class Tokens:
    """Every token that a provider ever gave, good or not."""

    access: dict[str, AccessToken] = field(default_factory=dict)
    refresh: dict[str, "Grant"] = field(default_factory=dict)


@dataclass(eq=False)
class Grant:
    """What an account lets a client do.

    Attributes:
        scopes: What is granted now; drop some to rehearse a scope that was not ticked.
        refresh_tokens: Those that are good, the newest last.
        ended: Why none of them is, by a name that the provider knows.
    """

    account: "Account"
    client: OAuthClient
    scopes: set[str]
    tokens: Tokens = field(repr=False)
    refresh_tokens: list[str] = field(default_factory=list)
    ended: str | None = None

    @property
    def refresh_token(self) -> str:
        """The newest refresh token."""
        return self.refresh_tokens[-1]

    def new_access(self, scopes: Iterable[str], now: datetime) -> AccessToken:
        """An access token for some of the scopes."""
        text = f"access-{secrets.token_urlsafe(24)}"
        token = AccessToken(text, self, frozenset(scopes), now + TOKEN_LIFETIME)
        self.tokens.access[text] = token
        return token

    def new_refresh(self) -> str:
        """A further refresh token; those before stay good."""
        text = f"refresh-{secrets.token_urlsafe(24)}"
        self.refresh_tokens.append(text)
        self.tokens.refresh[text] = self
        return text

    def expire_access(self) -> None:
        """Let every access token die now, before its time."""
        for token in self.tokens.access.values():
            if token.grant is self:
                token.dead = True

    def end(self, reason: str = "revoked", *, access_lives_on: bool = False) -> None:
        """Take the grant back; access tokens die with it unless told."""
        if reason not in self.account.ways_to_end:
            raise CalendarControlError(
                f"reason: has to be one of {', '.join(sorted(self.account.ways_to_end))}"
            )
        self.ended = reason
        if not access_lives_on:
            self.expire_access()

    def renew(self) -> str:
        """The account consents again: a new refresh token, and the old ones are over."""
        self.ended = None
        self.refresh_tokens.clear()
        return self.new_refresh()


@dataclass
class Entry:
    """A calendar in an account's list."""

    calendar: Calendar
    role: Role
    number: int
    """The change that made it what it is."""
    hidden: bool = False
    gone: bool = False
    """Taken out of the list; what is left tells a list's sync token."""


class Keeper(Protocol):
    """What an account needs of the provider that it is at."""

    tokens: Tokens

    def next_number(self) -> int:
        """A number for a change, larger than all before."""
        ...

    def new_account_id(self) -> str:
        """An id as the profile shows it."""
        ...

    def primary_calendar(self, account: "Account", zone: ZoneInfo) -> Calendar:
        """Make the calendar that an account comes with."""
        ...

    def new_calendar(self, account: "Account", name: str, zone: ZoneInfo, own_id: str) -> Calendar:
        """Make a calendar; without an id of its own it gets a new one."""
        ...


class Account:
    """Somebody at a provider; made by ``account`` of it.

    Args:
        email: The address; it is the primary calendar's too.
        name: How people call them.
        provider: Where.
        ways_to_end: Names of reasons for which a grant may end here.
        zone: Of the primary calendar.
    """

    def __init__(
        self,
        email: str,
        *,
        name: str,
        provider: Keeper,
        ways_to_end: frozenset[str],
        zone: ZoneInfo,
    ) -> None:
        self.email = email
        self.name = name
        self.id = provider.new_account_id()
        self.ways_to_end = ways_to_end
        self.mail: str | None = email
        """What the profile says; ``None`` for an account without it (Microsoft)."""
        self.licensed = True
        """Whether there is a mailbox that can be asked (Microsoft)."""
        self.grants: list[Grant] = []
        self.entries: dict[str, Entry] = {}
        self._provider = provider
        self.primary = provider.primary_calendar(self, zone)
        self._enter(self.primary, Role.OWNER)

    @property
    def grant(self) -> Grant:
        """The grant that it came with."""
        return self.grants[0]

    @property
    def refresh_token(self) -> str:
        """The newest refresh token of the grant that it came with."""
        return self.grant.refresh_token

    def allow(self, client: OAuthClient, scopes: Iterable[str]) -> Grant:
        """Let a client in."""
        grant = Grant(self, client, set(scopes), self._provider.tokens)
        grant.new_refresh()
        self.grants.append(grant)
        return grant

    def revoke(self, reason: str = "revoked", *, access_lives_on: bool = False) -> None:
        """Take every grant back, for a reason that the provider knows."""
        for grant in self.grants:
            grant.end(reason, access_lives_on=access_lives_on)

    def expire_access(self) -> None:
        """Let every access token die now, before its time."""
        for grant in self.grants:
            grant.expire_access()

    def expire_sync(self) -> None:
        """Forget every sync token and delta link given until now."""
        for entry in self.entries.values():
            entry.calendar.expire_sync()

    def calendar(self, name: str, *, zone: str | None = None, calendar_id: str = "") -> Calendar:
        """Make a further calendar of this account's own."""
        where = self.primary.zone if zone is None else read_zone(zone)
        made = self._provider.new_calendar(self, name, where, calendar_id)
        self._enter(made, Role.OWNER)
        return made

    def share(self, calendar: Calendar, role: Role | str = Role.READER) -> Entry:
        """Have somebody's calendar in this account's list, or have another role in it.

        Another role makes the account's sync tokens for that calendar void (Google).
        """
        return self._enter(calendar, Role(role))

    def unshare(self, calendar: Calendar) -> None:
        """Take a calendar out of this account's list."""
        entry = self.entry(calendar.id)
        entry.gone, entry.number = True, self._provider.next_number()

    def delete_calendar(self, calendar: Calendar) -> None:
        """Delete a calendar for everybody."""
        entry = self.entry(calendar.id)
        entry.calendar.deleted, entry.number = True, self._provider.next_number()

    def entry(self, calendar_id: str) -> Entry:
        """A calendar in the list, by its id. Raises ``UnknownError``."""
        entry = self.entries.get(calendar_id)
        if entry is None or entry.gone or entry.calendar.deleted:
            raise UnknownError(f"calendar: {self.email} has no calendar {calendar_id!r}")
        return entry

    def _enter(self, calendar: Calendar, role: Role) -> Entry:
        entry = Entry(calendar, role, self._provider.next_number())
        self.entries[calendar.id] = entry
        return entry
