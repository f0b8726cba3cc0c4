"""Google's Calendar API, version 3, behind the CalendarProvider Protocol."""

from sitin.providers.calendars.google.provider import GoogleCalendarProvider

__all__ = ["GoogleCalendarProvider"]
