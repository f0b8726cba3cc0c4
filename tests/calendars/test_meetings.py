"""Which address of an event's texts is its meeting's."""

import json
from urllib.parse import quote

import pytest

from sitin.calendars.meetings import EventMeeting, meeting_of
from sitin.contract.calendars import EventStatus, ProviderEvent
from sitin.contract.codes import Platform
from sitin.platforms.urls import recognise
from tests.calendars.office import MEET, NOW, ZOOM
from tests.shared import needs_shared, shared

pytestmark = pytest.mark.unit


def an_event(
    *, location: str | None = None, description: str | None = None, links: tuple[str, ...] = ()
) -> ProviderEvent:
    """An event that says this."""
    return ProviderEvent(
        id="1",
        series_id=None,
        family=None,
        is_exception=False,
        is_meeting=True,
        title="",
        description=description,
        location=location,
        start=NOW,
        end=NOW,
        time_zone=None,
        is_all_day=False,
        status=EventStatus.CONFIRMED,
        organizer_email=None,
        organizer_name=None,
        attendees=None,
        links=links,
    )


@needs_shared("facts", "url-cases.json")
def test_every_known_way_to_write_an_address() -> None:
    """A location is recognised as the same text is when a customer gives it."""
    path = shared("facts", "url-cases.json")
    assert path is not None
    for case in json.loads(path.read_text()):
        meeting = recognise(case["url"])
        found = meeting_of(an_event(location=case["url"]))
        if meeting is None:
            assert found is None or found.platform is None, case["url"]
        else:
            assert found is not None
            assert (found.joined_url, found.platform) == (meeting.url, meeting.platform)
            assert recognise(found.url) == meeting, "what is shown leads there as well"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://us02web.zoom.us/j/85000000000", "https://us02web.zoom.us/j/85000000000"),
        ("Us02web.zoom.us/j/85000000000, room 4", "https://Us02web.zoom.us/j/85000000000"),
        # What cannot stand in an address is told normalised.
        ("https://zoom.us/j/85000000000 (Passcode: 584706)", f"{ZOOM}?pwd=584706"),
        (
            "https://eur01.safelinks.protection.outlook.com/?url="
            + quote("https://www.google.com/url?q=https://us02web.zoom.us/j/85000000000", safe=""),
            "https://us02web.zoom.us/j/85000000000",
        ),
    ],
)
def test_an_address_is_told_as_it_was_written(written: str, shown: str) -> None:
    found = meeting_of(an_event(location=written))
    assert found is not None
    assert (found.url, found.platform) == (shown, Platform.ZOOM)
    assert found.joined_url is not None
    assert found.joined_url.startswith(ZOOM)


@pytest.mark.parametrize(
    "prose",
    [
        "We meet on zoom.us",
        "Get the app from https://zoom.us/download, or see zoom.us/pricing.",
        "As last time on meet.google.com/ or teams.microsoft.com.",
        "https://notzoom.us/j/85000000000 and https://zoom.us.example.com/j/85000000000",
        "bob@zoom.us/j/85000000000",
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.com and more",
    ],
)
def test_prose_is_no_address(prose: str) -> None:
    assert meeting_of(an_event(location=prose, description=prose)) is None


def test_the_first_known_platform_wins() -> None:
    elsewhere = "https://meet.jit.si/VexaStandup"
    both = meeting_of(an_event(links=(elsewhere,), location="Room 4", description=MEET))
    assert both == EventMeeting(MEET, MEET, Platform.MEET)
    alone = meeting_of(an_event(links=(elsewhere,), location="Room 4"))
    assert alone == EventMeeting(elsewhere, None, None)
