"""Calendars held on this machine: a Google Calendar and a Microsoft Graph that can be moved.

``CalendarRehearsal()`` holds both; ``docs/rehearsal-calendars.md`` tells how to use it.
"""

from sitin.rehearsal.calendars.accounts import Account, Grant, Role
from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.errors import CalendarControlError, UnknownError
from sitin.rehearsal.calendars.model import (
    Conference,
    ConferenceState,
    EntryPoint,
    Event,
    EventKind,
    Person,
    ShowAs,
)
from sitin.rehearsal.calendars.provider import Exchange
from sitin.rehearsal.calendars.server import CalendarRehearsal

__all__ = [
    "Account",
    "Calendar",
    "CalendarControlError",
    "CalendarRehearsal",
    "Conference",
    "ConferenceState",
    "EntryPoint",
    "Event",
    "EventKind",
    "Exchange",
    "Grant",
    "Person",
    "Role",
    "ShowAs",
    "UnknownError",
]
