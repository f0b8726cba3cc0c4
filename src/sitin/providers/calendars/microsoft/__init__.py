"""Microsoft Graph's calendars, version 1.0, behind the CalendarProvider Protocol."""

from sitin.providers.calendars.microsoft.provider import MicrosoftCalendarProvider

__all__ = ["MicrosoftCalendarProvider"]
