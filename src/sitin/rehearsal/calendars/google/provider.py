"""A Google Calendar on this machine: accounts, ids, tokens, notifications. For its routes."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sitin.contract.calendars import CalendarPlatform
from sitin.kit.errors import SitinError
from sitin.rehearsal.calendars.accounts import AccessToken, Account, Entry
from sitin.rehearsal.calendars.calendar import Calendar, Change
from sitin.rehearsal.calendars.errors import ApiError, CalendarControlError, UnknownError
from sitin.rehearsal.calendars.google import oauth
from sitin.rehearsal.calendars.google.channels import Channels
from sitin.rehearsal.calendars.google.errors import (
    FAULTS,
    not_found,
    refusal,
    scope_missing,
    token_refusal,
    unauthorised,
)
from sitin.rehearsal.calendars.google.ids import event_id, locate
from sitin.rehearsal.calendars.google.partial import read_fields, select
from sitin.rehearsal.calendars.model import Event, Moment, Person, stamp
from sitin.rehearsal.calendars.paging import read_token
from sitin.rehearsal.calendars.provider import Call, RehearsedProvider, World

CLIENT_ID = "rehearsal.apps.googleusercontent.com"
PATH = "/google"
"""Where it answers, below the server's address."""

_ID_LETTERS = "0123456789abcdefghijklmnopqrstuv"
_MEET_LETTERS = "abcdefghijkmnopqrstuvwxyz"


class GoogleRehearsal(RehearsedProvider):
    """A Google Calendar.

    Attributes:
        channels: Of everybody who watches.
        sync_before_answer: Whether a channel's first notification arrives before ``watch`` answers.
        conferences_pending: Whether conferences asked for are made later, by
            ``Calendar.finish_conference``.
        cancellations_reach: How far ahead the occurrences of a deleted series are told.
    """

    platform: ClassVar[CalendarPlatform] = CalendarPlatform.GOOGLE
    ways_to_end: ClassVar[frozenset[str]] = frozenset(oauth.ENDS)
    all_scopes: ClassVar[tuple[str, ...]] = oauth.ALL
    answers = FAULTS

    def __init__(self, world: World) -> None:
        super().__init__(world, CLIENT_ID)
        self.channels = Channels()
        self.sync_before_answer = False
        self.conferences_pending = False
        self.cancellations_reach = timedelta(days=180)

    @property
    def api_url(self) -> str:
        """The API's address; ``/calendar/v3`` and ``/oauth2/v2`` are below it."""
        return f"{self.world.url}{PATH}"

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return f"{self.world.url}{PATH}/token"

    # What calendars and accounts need

    def new_account_id(self) -> str:
        """Twenty-one digits."""
        return str(secrets.randbelow(10**20) + 10**20)

    def primary_calendar(self, account: Account, zone: ZoneInfo) -> Calendar:
        """Its id and name are the address."""
        return self.new_calendar(account, account.email, zone, account.email)

    def new_calendar(self, account: Account, name: str, zone: ZoneInfo, own_id: str) -> Calendar:
        """Make a calendar; a secondary one is an attendee under its own id."""
        del account
        calendar_id = own_id or f"{secrets.token_hex(32)}@group.calendar.google.com"
        if calendar_id in self.calendars:
            raise CalendarControlError(f"calendar_id: there is one {calendar_id!r} already")
        made = Calendar(
            calendar_id, name=name, zone=zone, owner=Person(calendar_id), surroundings=self
        )
        self.calendars[calendar_id] = made
        return made

    def new_event_id(self) -> str:
        """Lower-case base32hex."""
        return "".join(secrets.choice(_ID_LETTERS) for _ in range(26))

    def split_id(self, series_id: str, at: Moment) -> str:
        """The first series' id with the start from which this one goes on."""
        return f"{series_id.partition('_R')[0]}_R{stamp(at).rstrip('Z')}"

    def ical_uid(self, event_id: str) -> str:
        """The id at google.com."""
        return f"{event_id}@google.com"

    def new_meeting_url(self) -> str:
        """The address of a new Google Meet."""
        code = "".join(secrets.choice(_MEET_LETTERS) for _ in range(10))
        return f"https://meet.google.com/{code[:3]}-{code[3:7]}-{code[7:]}"

    def check(self, event: Event) -> None:
        """Refuses nothing: recurrence is RFC 5545 here as well."""

    def changed(self, calendar: Calendar, changes: Sequence[Change]) -> None:
        """Tell the channels, once for all of the changes."""
        del changes
        for channel in self.channels.about(calendar, self.clock.now()):
            self.world.pushes.send([channel.push("exists", self.world.last_number + 1)])

    def api_id(self, event: Event) -> str:
        """As the API names it."""
        return event_id(event)

    def locate(self, calendar: Calendar, text: str) -> Event:
        """By the id that the API gives."""
        return locate(calendar, text)

    def watchers(self) -> list[dict[str, Any]]:
        """The channels."""
        return [{**one.render(), "address": one.address} for one in self.channels]

    # The way of a request

    def page_of(self, request: Request) -> int:
        """Read from the page token."""
        values = read_token(request.query_params.get("pageToken", "")) or {}
        number = values.get("p", 1)
        return number if isinstance(number, int) else 1

    def authorised(self, call: Call) -> AccessToken:
        """Refuses dead and unknown tokens, and those without a scope that is needed."""
        token = self.token(call)
        if token is None or token.dead or token.expires_at <= self.clock.now():
            raise unauthorised()
        if not token.scopes & token.grant.scopes & oauth.NEEDED[call.needs]:
            raise scope_missing()
        return token

    def refused(self, error: SitinError) -> Response:
        """As Google's error."""
        if isinstance(error, UnknownError):
            return not_found().response()
        return refusal(400, "invalid", error.message).response()

    def of_token_endpoint(self, error: ApiError) -> ApiError:
        """Reason and message in the form of OAuth."""
        item = error.body["error"]["errors"][0]
        return token_refusal(error.status, item["reason"], item["message"], headers=error.headers)

    def entry(self, call: Call) -> Entry:
        """The calendar that a request is about. Raises ``UnknownError``."""
        calendar_id = call.path("calendar_id")
        if calendar_id == "primary":
            calendar_id = call.account.primary.id
        return call.account.entry(calendar_id)


def answer(call: Call, value: dict[str, Any]) -> Response:
    """A value as JSON, or the part of it that is asked for."""
    fields = call.query.get("fields")
    return JSONResponse(value if fields is None else select(value, read_fields(fields)))
