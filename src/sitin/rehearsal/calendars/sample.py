"""Two accounts with ordinary weeks ahead of them, for people who try things. For the command."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sitin.contract.calendars import ResponseStatus
from sitin.rehearsal.calendars.accounts import Account
from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.model import EventKind, Person
from sitin.rehearsal.calendars.server import CalendarRehearsal

GOOGLE_EMAIL = "ada@example.com"
MICROSOFT_EMAIL = "mia@example.com"

_PARIS = ZoneInfo("Europe/Paris")
_WORKDAYS = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"


def furnish(rehearsal: CalendarRehearsal) -> tuple[Account, Account]:
    """Make an account at each provider, with meetings from next Monday on."""
    google = rehearsal.google.account(GOOGLE_EMAIL, name="Ada Martin", zone=_PARIS.key)
    microsoft = rehearsal.microsoft.account(MICROSOFT_EMAIL, name="Mia Sanz", zone=_PARIS.key)
    day = _next_monday(rehearsal.clock.now().astimezone(_PARIS))
    _meetings(google.primary, day, url="https://meet.google.com/abc-defg-hij")
    google.primary.add("Anniversary", day.date() + timedelta(days=3), kind=EventKind.BIRTHDAY)
    team = google.calendar("Team")
    team.add(
        "Team lunch talk",
        day + timedelta(days=2, hours=12),
        minutes=45,
        location="https://zoom.us/j/5551112222?pwd=rehearsal",
    )
    teams = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal%40thread.v2/0"
    _meetings(microsoft.primary, day, url=teams)
    microsoft.calendar("Interviews")
    return google, microsoft


def _meetings(calendar: Calendar, monday: datetime, *, url: str) -> None:
    guests = [
        Person(calendar.address, response=ResponseStatus.ACCEPTED),
        Person("ben@example.com", "Ben Okafor", ResponseStatus.ACCEPTED),
        Person("chloe@example.com", "Chloé Dubois"),
    ]
    calendar.add(
        "Standup",
        monday + timedelta(hours=9, minutes=30),
        minutes=15,
        recurrence=_WORKDAYS,
        attendees=guests,
        meeting_url=url,
    )
    planning = calendar.add(
        "Planning",
        monday + timedelta(hours=14),
        minutes=60,
        recurrence="FREQ=WEEKLY",
        attendees=guests,
        meeting_url=url,
    )
    calendar.move(
        planning, monday + timedelta(days=8, hours=10), on=monday + timedelta(days=7, hours=14)
    )
    calendar.add(
        "Interview",
        monday + timedelta(days=1, hours=11),
        minutes=60,
        organizer="ben@example.com",
        attendees=[Person(calendar.address), Person("ben@example.com")],
        description="Join by <a href='https://zoom.us/j/5553334444'>Zoom</a>.",
    )
    calendar.add("Offsite", monday.date() + timedelta(days=10), end=monday.date() + timedelta(12))


def _next_monday(now: datetime) -> datetime:
    day = now.date() + timedelta(days=(7 - now.weekday()) % 7 or 7)
    return datetime.combine(day, time(), tzinfo=_PARIS)
