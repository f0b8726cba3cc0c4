"""A Microsoft Graph on this machine: accounts, ids, tokens, notifications. For its routes."""

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import uuid4
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from sitin.contract.calendars import CalendarPlatform
from sitin.kit.errors import SitinError
from sitin.rehearsal.calendars.accounts import AccessToken, Account, Entry
from sitin.rehearsal.calendars.calendar import Calendar, Change
from sitin.rehearsal.calendars.errors import ApiError, CalendarControlError, UnknownError
from sitin.rehearsal.calendars.microsoft import oauth
from sitin.rehearsal.calendars.microsoft.errors import (
    FAULTS,
    access_denied,
    invalid,
    not_found,
    over_concurrency,
    token_refusal,
    unauthorised,
)
from sitin.rehearsal.calendars.microsoft.ids import EventId, read_id, write_id
from sitin.rehearsal.calendars.microsoft.patterns import describe
from sitin.rehearsal.calendars.microsoft.reading import Preferences, read_preferences
from sitin.rehearsal.calendars.microsoft.render import View
from sitin.rehearsal.calendars.microsoft.subscriptions import Subscriptions
from sitin.rehearsal.calendars.model import Event, Moment, Person
from sitin.rehearsal.calendars.occurrences import original_of
from sitin.rehearsal.calendars.paging import read_token
from sitin.rehearsal.calendars.provider import TOKEN, Call, RehearsedProvider, World

CLIENT_ID = "5a1c0de0-0000-4000-8000-000000000001"
TENANT_ID = "7e2a0de0-0000-4000-8000-000000000002"
LOGIN_PATH = "/microsoft/login"
GRAPH_PATH = "/microsoft/graph"
"""Where it answers, below the server's address."""

MOST_AT_ONCE = 4
"""Requests of an application to one mailbox at a time."""


class MicrosoftRehearsal(RehearsedProvider):
    """A Microsoft Graph.

    Attributes:
        subscriptions: Of everybody who subscribed.
        tenant_id: The organisation that all accounts belong to.
        tenants: The names under which the token endpoint answers.
        old_refresh_tokens_die: Whether a refresh token is good only once.
        silent_deletions: Whether delta does not tell of a single occurrence that was deleted.
        replays: Whether each round of delta tells the round before once more.
        gone_code: The code of the 410 for a delta link that is not known any more.
        gone_location: Whether that 410 says where to go on.
    """

    platform: ClassVar[CalendarPlatform] = CalendarPlatform.MICROSOFT
    ways_to_end: ClassVar[frozenset[str]] = frozenset(oauth.ENDS)
    all_scopes: ClassVar[tuple[str, ...]] = oauth.ALL
    answers = FAULTS

    def __init__(self, world: World) -> None:
        super().__init__(world, CLIENT_ID)
        self.subscriptions = Subscriptions(world.pushes)
        self.tenant_id = TENANT_ID
        self.tenants = {"common", "organizations", "consumers", TENANT_ID}
        self.old_refresh_tokens_die = False
        self.silent_deletions = True
        self.replays = False
        self.gone_code = "SyncStateNotFound"
        self.gone_location = False
        self._at_once: Counter[str] = Counter()

    @property
    def login_url(self) -> str:
        """The address of the token endpoint, without tenant and path."""
        return f"{self.world.url}{LOGIN_PATH}"

    @property
    def graph_url(self) -> str:
        """The API's address, without the version."""
        return f"{self.world.url}{GRAPH_PATH}"

    # What calendars and accounts need

    def new_account_id(self) -> str:
        """A GUID."""
        return str(uuid4())

    def primary_calendar(self, account: Account, zone: ZoneInfo) -> Calendar:
        """The default calendar; its id is like any other's."""
        self.tenants.add(account.email.partition("@")[2])
        return self.new_calendar(account, "Calendar", zone, "")

    def new_calendar(self, account: Account, name: str, zone: ZoneInfo, own_id: str) -> Calendar:
        """Make a calendar; in each of them it is the account that is an attendee."""
        calendar_id = own_id or f"AAMkADcal{secrets.token_urlsafe(36)}="
        if calendar_id in self.calendars:
            raise CalendarControlError(f"calendar_id: there is one {calendar_id!r} already")
        owner = Person(account.email, account.name)
        made = Calendar(calendar_id, name=name, zone=zone, owner=owner, surroundings=self)
        self.calendars[calendar_id] = made
        return made

    def new_event_id(self) -> str:
        """What ids are made of."""
        return secrets.token_hex(16)

    def split_id(self, series_id: str, at: Moment) -> str:
        """Nothing tells where a series came from."""
        del series_id, at
        return self.new_event_id()

    def ical_uid(self, event_id: str) -> str:
        """A global object id without the day of an occurrence."""
        return f"040000008200E00074C5B7101A82E00800000000{event_id.encode().hex().upper()[:64]}"

    def new_meeting_url(self) -> str:
        """The address of a new Teams meeting."""
        thread = f"19%3ameeting_{secrets.token_hex(24)}%40thread.v2"
        return f"https://teams.microsoft.com/l/meetup-join/{thread}/0"

    def check(self, event: Event) -> None:
        """Refuses a series that Graph has no words for."""
        if event.is_series:
            describe(event.recurrence, event.span.start, ZoneInfo("UTC"))

    def changed(self, calendar: Calendar, changes: Sequence[Change]) -> None:
        """Tell the subscribers of each change; what goes to one address goes together."""
        subscribers = self.subscriptions.about(calendar, self.clock.now())
        notices = [one.notice(change) for change in changes for one in subscribers]
        self.world.pushes.send([notice for notice in notices if notice is not None])

    def api_id(self, event: Event) -> str:
        """The immutable one."""
        return write_id(event, immutable=True)

    def locate(self, calendar: Calendar, text: str) -> Event:
        """By the id that the API gives, of either kind, or by what it is made of."""
        meant = read_id(text) or EventId(text)
        stored = calendar.history.latest(meant.event_id)
        if stored is None or not meant.of(stored):
            raise UnknownError(f"event: there is no event {text!r} in {calendar.id!r}")
        if meant.key is None:
            return stored
        return stored.occurrence(original_of(stored, meant.key, calendar.zone))

    def watchers(self) -> list[dict[str, Any]]:
        """The subscriptions."""
        return [one.render() for one in self.subscriptions]

    # The way of a request

    @contextmanager
    def slot(self, call: Call, account: Account | None) -> Iterator[ApiError | None]:
        """One of the four places that there are for a mailbox."""
        if account is None or not _asks_mailbox(call):
            yield None
            return
        self._at_once[account.email] += 1
        try:
            yield over_concurrency() if self._at_once[account.email] > MOST_AT_ONCE else None
        finally:
            self._at_once[account.email] -= 1

    def page_of(self, request: Request) -> int:
        """Read from the skip token."""
        values = read_token(request.query_params.get("$skiptoken", "")) or {}
        number = values.get("p", 1)
        return number if isinstance(number, int) else 1

    def authorised(self, call: Call) -> AccessToken:
        """Refuses dead tokens, missing scopes and accounts without a mailbox."""
        token = self.token(call)
        if token is None or token.dead or token.expires_at <= self.clock.now():
            raise unauthorised()
        if not token.scopes & token.grant.scopes & oauth.NEEDED[call.needs]:
            raise access_denied()
        if not token.grant.account.licensed and call.operation != "me":
            raise FAULTS["mailbox_not_enabled"](None)
        return token

    def refused(self, error: SitinError) -> Response:
        """As Graph's error."""
        made = not_found() if isinstance(error, UnknownError) else invalid(error.message)
        return made.response()

    def of_token_endpoint(self, error: ApiError) -> ApiError:
        """The same status in the form of OAuth."""
        transient = error.status >= 500 or error.status == 429
        return token_refusal(
            error.status,
            "temporarily_unavailable" if transient else "invalid_request",
            90033 if transient else 90014,
            error.body["error"]["message"],
            headers=error.headers,
        )

    def entry(self, call: Call) -> Entry:
        """The calendar that a request is about, the default one if it names none."""
        calendar_id = call.request.path_params.get("calendar_id", call.account.primary.id)
        return call.account.entry(calendar_id)

    def preferences(self, call: Call) -> Preferences:
        """What the request's header asks for. Raises ``ApiError``."""
        return read_preferences(",".join(call.request.headers.getlist("prefer")))

    def view(self, call: Call, entry: Entry) -> View:
        """How the request's account wants to see that calendar. Raises ``ApiError``."""
        wanted = self.preferences(call)
        return View(
            entry.calendar,
            entry.role,
            wanted.zone,
            wanted.zone_name,
            wanted.immutable,
            wanted.plain,
        )


def _asks_mailbox(call: Call) -> bool:
    return call.operation not in (TOKEN, "me") and not call.operation.startswith("subscriptions.")
