"""What events say, and where their meetings are: scenarios 29 to 31, 44 of the fact sheet.

Each runs at every provider that knows it.
"""

import re
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from sitin.calendars.models import Event
from sitin.calendars.schemas import EventDetails
from sitin.contract.calendars import CalendarPlatform, EventStatus
from sitin.contract.codes import Platform
from sitin.rehearsal.calendars import Conference, ConferenceState, EntryPoint, EventKind, Person
from tests.calendars.office import MEET, ZOOM, Office, at_google, listings

pytestmark = pytest.mark.db

PENDING = Conference((), ConferenceState.PENDING)
TEAMS = "https://teams.microsoft.com/meet/33749853217630?p=AbCdEf12"
JITSI = "https://meet.jit.si/VexaStandup"


def safe(url: str) -> str:
    """The address as Microsoft's mail gateway wraps it."""
    return f"https://eur01.safelinks.protection.outlook.com/?url={quote(url, safe='')}&data=05%7C0"


async def synced(office: Office, *, listing: bool, **content: Any) -> Event:
    """An event of this content, found out about by a later sync."""
    await office.connect()
    office.calendar.add("Plan", office.at(hours=2), **content)
    await office.sync(listing=listing)
    return await office.event("Plan")


@listings
@pytest.mark.parametrize("how", ["conference", "description"])
async def test_29_an_address_comes_later(office: Office, how: str, listing: bool) -> None:
    weekly = office.calendar.add(
        "Weekly",
        office.at(days=1),
        recurrence="RRULE:FREQ=WEEKLY;COUNT=3",
        description="Details follow.",
        conference=PENDING,
    )
    await office.connect()
    assert {event.meeting_url for event in await office.events()} == {None}
    (series,) = await office.series()
    done, failed = await office.send_bot(series=series.id)
    assert (done, {one.code for one in failed}) == ([], {"MEETING_URL_NOT_FOUND"})
    await office.told()
    second = office.at(days=8)
    if how == "conference":
        office.calendar.finish_conference(weekly, MEET, on=second)
    else:
        link = f'<p>Here it is: <a href="{MEET}">join</a></p>'
        office.calendar.edit(weekly, on=second, description=link)
    await office.sync(listing=listing)
    (bot,) = await office.waiting()
    assert (bot.meeting_url, bot.join_at, bot.bot_name) == (MEET, second, "Notes")
    found = {event.start_at: event.meeting_url for event in await office.events()}
    assert found == {office.at(days=1): None, second: MEET, office.at(days=15): None}
    ((event, data),) = await office.told()
    (instance,) = data["affected_instances"]
    assert (event, instance["meeting_url"], instance["meeting_platform"]) == (
        "event_updated",
        MEET,
        "meet",
    )
    assert instance["bot_scheduled"] is True


@listings
async def test_29_a_conference_that_is_never_made(office: Office, listing: bool) -> None:
    event = office.calendar.add("Plan", office.at(hours=2), conference=PENDING)
    await office.connect()
    await office.told()
    office.calendar.finish_conference(event, None)
    await office.sync(listing=listing)
    assert (await office.event("Plan")).meeting_url is None
    assert await office.told() == []


@listings
async def test_30_an_address_is_taken_away(office: Office, listing: bool) -> None:
    event = office.calendar.add("Plan", office.at(hours=2), meeting_url=MEET)
    await office.connect()
    await office.send_bot(await office.event("Plan"))
    (bot,) = await office.waiting()
    office.calendar.edit(event, meeting_url=None)
    await office.sync(listing=listing)
    stored = await office.event("Plan")
    assert (stored.meeting_url, stored.meeting_platform) == (None, None)
    (kept,) = await office.waiting()
    assert (kept.id, kept.joined_url, kept.join_at) == (bot.id, MEET, stored.start_at)
    # It still goes where the event goes.
    office.calendar.move(event, office.at(hours=5))
    await office.sync(listing=listing)
    (moved,) = await office.waiting()
    assert (moved.id, moved.joined_url, moved.join_at) == (bot.id, MEET, office.at(hours=5))
    office.calendar.delete(event)
    await office.sync(listing=listing)
    assert await office.waiting() == []


@listings
async def test_30_an_address_is_replaced(office: Office, listing: bool) -> None:
    event = office.calendar.add("Plan", office.at(hours=2), meeting_url=MEET)
    await office.connect()
    await office.send_bot(await office.event("Plan"))
    (bot,) = await office.waiting()
    office.calendar.edit(event, meeting_url=ZOOM)
    await office.sync(listing=listing)
    (changed,) = await office.bots()
    assert (changed.id, changed.status) == (bot.id, "scheduled")
    assert (changed.meeting_url, changed.platform) == (ZOOM, Platform.ZOOM)


@listings
class TestSeveralAddresses:
    """Scenario 31: one of them is chosen, and always the same."""

    async def test_31_what_the_provider_attached_comes_first(
        self, office: Office, listing: bool
    ) -> None:
        event = await synced(
            office,
            listing=listing,
            meeting_url=MEET,
            location=ZOOM,
            description=f"Or on Teams: {TEAMS}",
        )
        assert (event.meeting_url, event.meeting_platform) == (MEET, Platform.MEET)

    async def test_31_then_the_location(self, office: Office, listing: bool) -> None:
        event = await synced(
            office, listing=listing, location=f"Room 4 or {ZOOM}", description=f"Or here: {MEET}"
        )
        assert (event.meeting_url, event.meeting_platform) == (ZOOM, Platform.ZOOM)

    async def test_31_then_the_first_in_the_description(
        self, office: Office, listing: bool
    ) -> None:
        text = f'<p>Agenda: https://example.com/a</p><a href="{TEAMS}">here</a> or {MEET}'
        event = await synced(office, listing=listing, location="Room 4", description=text)
        assert (event.meeting_url, event.meeting_platform) == (TEAMS, Platform.TEAMS)

    async def test_31_ways_in_that_are_not_for_video(self, office: Office, listing: bool) -> None:
        ways = (
            EntryPoint("phone", "tel:+33-1-23-45-67-89"),
            EntryPoint("sip", "sip:85000000000@zoomcrc.com"),
            EntryPoint("more", "https://tel.meet/abc-defg-hij?pin=123"),
        )
        event = await synced(office, listing=listing, conference=Conference(ways))
        assert (event.meeting_url, event.meeting_platform) == (None, None)

    async def test_31_video_among_the_others(self, office: Office, listing: bool) -> None:
        ways = (
            EntryPoint("phone", "tel:+33-1-23-45-67-89"),
            EntryPoint("more", "https://tel.meet/abc-defg-hij?pin=123"),
            EntryPoint("video", MEET),
        )
        event = await synced(office, listing=listing, conference=Conference(ways))
        assert (event.meeting_url, event.meeting_platform) == (MEET, Platform.MEET)

    @pytest.mark.parametrize("where", ["location", "description", "html"])
    async def test_31_a_wrapped_address(self, office: Office, where: str, listing: bool) -> None:
        given = "https://us02web.zoom.us/j/85000000000?pwd=AbCdEf.1"
        said = {
            "location": {"location": safe(given)},
            "description": {"description": f"Join here: {safe(given)}."},
            "html": {
                "description": f'<a href="{safe(given).replace("&", "&amp;")}">zoom.us</a>',
            },
        }[where]
        event = await synced(office, listing=listing, **said)
        assert event.meeting_url == given
        assert event.joined_url == "https://zoom.us/j/85000000000?pwd=AbCdEf.1"
        assert event.meeting_platform == Platform.ZOOM

    async def test_31_prose_is_no_address(self, office: Office, listing: bool) -> None:
        prose = "We meet on zoom.us, get the app from https://zoom.us/download."
        event = await synced(office, listing=listing, location=prose, description=prose)
        assert (event.meeting_url, event.meeting_platform) == (None, None)

    @pytest.mark.parametrize("where", ["meeting_url", "location"])
    async def test_31_a_platform_that_no_bot_knows(
        self, office: Office, where: str, listing: bool
    ) -> None:
        event = await synced(office, listing=listing, **{where: JITSI})
        assert (event.meeting_url, event.meeting_platform) == (JITSI, None)
        done, (failed,) = await office.send_bot(event)
        assert (done, failed.code) == ([], "INVALID_MEETING_PLATFORM")
        assert await office.bots() == []


async def details(office: Office, event_id: UUID) -> EventDetails:
    """What the API tells of an event."""
    async with office.database.transaction() as session:
        return await office.calendars.events.details(
            session, office.caller, office.connection_ids[0], event_id
        )


@listings
class TestSparseEvents:
    """Scenario 44: whatever is missing, the API's fields are filled."""

    async def test_44_no_title_and_nobody(self, office: Office, listing: bool) -> None:
        await office.connect()
        await office.told()
        office.calendar.add(None, office.at(hours=2), organizer=None)
        await office.sync(listing=listing)
        (event,) = await office.events()
        told = await details(office, event.id)
        assert told.title == "(No title)"
        assert (told.organizer_email, told.organizer_name, told.attendees) == (None, None, None)
        assert (told.location, told.meeting_url) == (None, None)
        # Microsoft's empty body is a page with nothing on it.
        assert re.sub(r"<[^>]+>|\s", "", told.description or "") == ""
        assert told.timezone == "UTC"
        ((name, data),) = await office.told()
        assert (name, data["instances"][0]["title"]) == ("event_created", "(No title)")

    async def test_44_a_private_event_of_somebody_else(self, office: Office, listing: bool) -> None:
        """Of which a reader sees no more than when it is."""
        other = office.provider.account("bob@example.com")
        office.chosen = other.primary
        office.account.share(other.primary, "reader")
        await office.connect()
        other.primary.add(
            "Doctor",
            office.at(hours=2),
            private=True,
            meeting_url=MEET,
            description="Secret",
            attendees=["dan@example.com"],
        )
        await office.sync(listing=listing)
        (event,) = await office.events()
        told = await details(office, event.id)
        assert told.title in {"(No title)", "Private Appointment"}
        assert (told.start_time, told.meeting_url, told.description) == (
            office.at(hours=2),
            None,
            None,
        )

    async def test_44_which_attendee_owns_the_calendar(self, office: Office, listing: bool) -> None:
        google = office.platform is CalendarPlatform.GOOGLE
        event = await synced(
            office,
            listing=listing,
            # Google tells; an address's case says nothing.
            attendees=[
                Person("ada@example.com" if google else "Ada@Example.com"),
                Person("bob@example.com"),
            ],
            organizer="cyd@example.com",
        )
        told = await details(office, event.id)
        assert told.attendees is not None
        shown = [one.model_dump(by_alias=True, mode="json") for one in told.attendees]
        assert [one["self"] for one in shown] == [True, False]

    async def test_44_five_hundred_attendees(self, office: Office, listing: bool) -> None:
        event = await synced(
            office,
            listing=listing,
            attendees=[Person(f"p{number}@example.com") for number in range(500)],
            organizer="cyd@example.com",
        )
        told = await details(office, event.id)
        assert told.attendees is not None
        assert [one.email for one in told.attendees] == [f"p{n}@example.com" for n in range(500)]
        assert {one.response_status for one in told.attendees} == {"needsAction"}

    async def test_44_attendees_kept_back(self, office: Office, listing: bool) -> None:
        event = await synced(
            office,
            listing=listing,
            attendees=["ada@example.com"],
            attendees_omitted=True,
            organizer="cyd@example.com",
            meeting_url=MEET,
        )
        told = await details(office, event.id)
        assert (told.status, told.organizer_email) == (EventStatus.CONFIRMED, "cyd@example.com")
        done, failed = await office.send_bot(event)
        assert (len(done), failed) == (1, [])


@at_google
async def test_44_what_is_no_meeting_gets_no_bot(office: Office) -> None:
    event = office.calendar.add(
        "Focus", office.at(hours=2), meeting_url=MEET, kind=EventKind.FOCUS_TIME
    )
    await office.connect()
    done, (refused,) = await office.send_bot(await office.event("Focus"))
    assert (done, refused.code) == ([], "NOT_A_MEETING")
    office.calendar.edit(event, kind=EventKind.DEFAULT)
    await office.sync()
    done, failed = await office.send_bot(await office.event("Focus"))
    assert (len(done), failed) == (1, [])
