"""What the wires of the calendar platforms have in common. Used by the providers beside it only.

Whatever comes in is untrusted: text is bounded and free of what a database cannot store, ids and
tokens are printable, and times outside of any calendar are moved to its edge.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from sitin.contract.calendars import ProviderEvent

MOST_ATTENDEES = 2000
"""Kept of one event; both platforms show a few hundred at most."""
MOST_LINKS = 10

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_LONGEST_TITLE = 1000
_LONGEST_LINE = 2000
# A link to join may stand below a long quoted conversation.
_LONGEST_TEXT = 65_536
_LONGEST_LINK = 2048
_WEB = re.compile(r"https?://[^\s/\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*", re.IGNORECASE)


class Wire(BaseModel):
    """Base of everything that is read. Errors do not show what was read."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


def _at_most(characters: int) -> AfterValidator:
    return AfterValidator(lambda text: text.replace("\x00", "")[:characters])


Title = Annotated[str, _at_most(_LONGEST_TITLE)]
ShortText = Annotated[str, _at_most(_LONGEST_LINE)]
Text = Annotated[str, _at_most(_LONGEST_TEXT)]
Id = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00-\x20\x7f]+$")]
_PRINTABLE = StringConstraints(max_length=16_384, pattern=r"^[\x21-\x7e]+$")
Token = Annotated[str, _PRINTABLE]
"""Goes into a header."""
Cursor = Annotated[str, _PRINTABLE]
"""Goes into an address, or is one."""


def web_links(candidates: Iterable[str | None]) -> tuple[str, ...]:
    """Those that are addresses of the web, each once."""
    stripped = [link.strip() for link in candidates if link]
    found = [link for link in stripped if len(link) <= _LONGEST_LINK and _WEB.fullmatch(link)]
    return tuple(dict.fromkeys(found))[:MOST_LINKS]


def zone_named(name: str | None) -> ZoneInfo | None:
    """The time zone of an IANA or a Windows name; ``None`` for one that is not known."""
    if name is None:
        return None
    known = _known_zones()
    iana = name if name in known else WINDOWS_TO_OLSON.get(name, "")
    return ZoneInfo(iana) if iana in known else None


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"localtime", "Factory"}


def in_utc(shown: datetime, zone: tzinfo) -> datetime:
    """The moment that a time names, read in ``zone`` where it has no offset of its own."""
    try:
        return (shown if shown.tzinfo else shown.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        return _FIRST if shown.year < 2 else _LAST


def within(
    events: Iterable[ProviderEvent], start: datetime, end: datetime
) -> tuple[ProviderEvent, ...]:
    """Those that end after ``start`` and start before ``end``."""
    return tuple(event for event in events if event.end > start and event.start < end)
