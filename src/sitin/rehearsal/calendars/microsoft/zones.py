"""Microsoft's names of time zones. For the Microsoft rehearsal.

The table is that of the ``icalendar`` package: Windows' names and the IANA zone of each.
"""

from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from sitin.rehearsal.calendars.errors import CalendarControlError
from sitin.rehearsal.calendars.times import read_zone

_WINDOWS = {olson: windows for windows, olson in WINDOWS_TO_OLSON.items()} | {"UTC": "UTC"}


def windows_name(zone: str) -> str:
    """Windows' name of an IANA zone; the IANA name where Windows has no zone of its own."""
    return _WINDOWS.get(zone, zone)


def zone_named(name: str) -> ZoneInfo:
    """The zone of a Windows or an IANA name. Raises ``CalendarControlError``."""
    if not isinstance(name, str):
        raise CalendarControlError("timeZone: has to be a name")
    return read_zone("UTC" if name == "UTC" else WINDOWS_TO_OLSON.get(name, name))
