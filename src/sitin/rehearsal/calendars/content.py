"""What an event says, as a caller gives it, turned into fields of ``Event``. For the calendar."""

from collections.abc import Sequence
from typing import Any, TypedDict

from sitin.contract.calendars import EventStatus
from sitin.rehearsal.calendars.errors import CalendarControlError
from sitin.rehearsal.calendars.model import (
    Conference,
    EntryPoint,
    EventKind,
    Person,
    ShowAs,
)

Invited = Person | str
"""A person, or only an address."""


class Details(TypedDict, total=False):
    """Everything about an event but title and times; ``Event`` explains what this does not."""

    description: str | None
    """HTML or text."""
    location: str | None
    status: EventStatus
    organizer: Invited | None
    """The calendar's owner if not given, nobody for ``None``."""
    attendees: Sequence[Invited]
    attendees_omitted: bool
    """Whether the provider keeps some of them back."""
    meeting_url: str | None
    """A conference with one way in, by video; short for ``conference``."""
    conference: Conference | None
    kind: EventKind
    show_as: ShowAs
    private: bool
    zone_label: str | None


class Content(Details, total=False):
    """Everything about an event but its times."""

    title: str | None


def fields_of(content: Content | Details) -> dict[str, Any]:
    """Fields of ``Event``. Raises ``CalendarControlError`` naming the field."""
    unknown = set(content) - set(Content.__annotations__)
    if unknown:
        raise CalendarControlError(
            f"{min(unknown)}: is no field of an event; there are "
            f"{', '.join(sorted(Content.__annotations__))}"
        )
    fields: dict[str, Any] = {**content}
    if "meeting_url" in content:
        url = content["meeting_url"]
        if "conference" in content:
            raise CalendarControlError("meeting_url: give it or a conference, not both")
        del fields["meeting_url"]
        fields["conference"] = None if url is None else Conference((EntryPoint("video", url),))
    if "attendees" in content:
        fields["attendees"] = tuple(_person(one) for one in content["attendees"])
    if "organizer" in content and content["organizer"] is not None:
        fields["organizer"] = _person(content["organizer"])
    for name, kind in (("status", EventStatus), ("kind", EventKind), ("show_as", ShowAs)):
        if name in fields:
            try:
                fields[name] = kind(fields[name])
            except ValueError as error:
                raise CalendarControlError(f"{name}: has to be one of {', '.join(kind)}") from error
    return fields


def _person(one: Invited) -> Person:
    return Person(one) if isinstance(one, str) else one
