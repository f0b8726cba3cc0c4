"""Google Calendar against the one that runs here: what goes wrong between two good answers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from sitin.contract.calendars import (
    AccessRefusedError,
    CalendarPlatform,
    ConnectionStatus,
    CursorExpiredError,
    EventStatus,
    NoticeKind,
    OAuthGrant,
    ResponseStatus,
    SubscriptionOrder,
    TokenExpiredError,
    UnreadableAnswerError,
)
from sitin.contract.failures import RetriableError
from sitin.providers.calendars.google import GoogleCalendarProvider
from sitin.providers.calendars.registry import build_calendar_providers
from sitin.providers.calendars.settings import CalendarSettings
from sitin.rehearsal.calendars import Account, CalendarRehearsal, Person
from sitin.rehearsal.calendars.faults import NONSENSE
from tests.fakes.receiver import Receiver
from tests.serving import serving

pytestmark = pytest.mark.unit

NOW = datetime(2027, 3, 20, 12, tzinfo=UTC)
"""A Saturday, eight days before Europe's clocks go forward."""
WINDOW = {"start": NOW, "end": NOW + timedelta(days=30)}
CALENDAR = "https://www.googleapis.com/auth/calendar"


@pytest.fixture
async def cal() -> AsyncIterator[CalendarRehearsal]:
    async with CalendarRehearsal(at=NOW, standing=True) as rehearsal:
        yield rehearsal


@pytest.fixture
def ada(cal: CalendarRehearsal) -> Account:
    return cal.google.account("ada@example.com", name="Ada", zone="Europe/Paris")


@pytest.fixture
async def google(cal: CalendarRehearsal) -> AsyncIterator[GoogleCalendarProvider]:
    provider = GoogleCalendarProvider(
        token_url=cal.google.token_url, api_url=cal.google.api_url, clock=cal.clock
    )
    yield provider
    await provider.aclose()


def grant(account: Account) -> OAuthGrant:
    client = account.grant.client
    return OAuthGrant(client.id, client.secret, account.refresh_token)


@pytest.fixture
async def access(google: GoogleCalendarProvider, ada: Account) -> str:
    return (await google.refresh(grant(ada))).text


async def test_the_settings_lead_to_it(
    cal: CalendarRehearsal, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cal.environment.items():
        monkeypatch.setenv(name, value)
    providers = build_calendar_providers(CalendarSettings())
    google = providers[CalendarPlatform.GOOGLE]
    access = await google.refresh(grant(ada))
    assert await google.account_email(access.text) == "ada@example.com"
    await providers.aclose()


async def test_small_empty_and_overlapping_pages(
    cal: CalendarRehearsal, google: GoogleCalendarProvider, ada: Account, access: str
) -> None:
    for day in range(1, 6):
        ada.primary.add(f"{day}", NOW + timedelta(days=day))
    cal.google.paging.sizes = (0, 2, 0, 2, 0)
    cal.google.paging.repeat = True
    listing = await google.window(access, "primary", **WINDOW)
    assert [event.title for event in listing.events] == ["1", "2", "3", "4", "5"]
    assert listing.cursor is not None
    assert len(cal.google.asked("events.list")) >= 5


async def test_clocks_that_go_forward_and_whole_days(
    google: GoogleCalendarProvider, ada: Account, access: str
) -> None:
    ada.primary.add("Weekly", "2027-03-26T10:00", minutes=30, recurrence="FREQ=WEEKLY;COUNT=2")
    ada.primary.add("New York", "2027-03-29T10:00", zone="America/New_York")
    ada.primary.add("Day", "2027-03-28")
    listing = await google.window(access, "primary", **WINDOW)
    found = sorted((e.start, e.title, e.time_zone, e.is_all_day) for e in listing.events)
    assert found == [
        (datetime(2027, 3, 26, 9, tzinfo=UTC), "Weekly", "Europe/Paris", False),
        (datetime(2027, 3, 27, 23, tzinfo=UTC), "Day", None, True),
        (datetime(2027, 3, 29, 14, tzinfo=UTC), "New York", "America/New_York", False),
        (datetime(2027, 4, 2, 8, tzinfo=UTC), "Weekly", "Europe/Paris", False),
    ]


async def test_a_deleted_series_of_which_only_the_beginning_is_told(
    cal: CalendarRehearsal, google: GoogleCalendarProvider, ada: Account, access: str
) -> None:
    series = ada.primary.add("Daily", "2027-03-21T10:00", recurrence="FREQ=DAILY;COUNT=60")
    listing = await google.window(access, "primary", **WINDOW)
    assert listing.cursor is not None
    cal.google.cancellations_reach = timedelta(days=3)
    ada.primary.delete(series)
    changes = await google.changes(access, "primary", cursor=listing.cursor)
    assert 0 < len(changes.removed) < len(listing.events)
    assert changes.complete_series == {series.id}


async def test_this_and_following(
    google: GoogleCalendarProvider, ada: Account, access: str
) -> None:
    series = ada.primary.add("Daily", "2027-03-21T10:00", recurrence="FREQ=DAILY;COUNT=9")
    listing = await google.window(access, "primary", **WINDOW)
    assert listing.cursor is not None
    rest = ada.primary.split(series, "2027-03-25", title="Later")
    changes = await google.changes(access, "primary", cursor=listing.cursor)
    assert {event.series_id for event in changes.events} == {series.id, rest.id}
    assert {event.family for event in changes.events} == {series.id}
    assert changes.removed == {
        event.id for event in listing.events if event.start.date().isoformat() >= "2027-03-25"
    }


async def test_who_declines(google: GoogleCalendarProvider, ada: Account, access: str) -> None:
    people = [
        Person("ada@example.com", response=ResponseStatus.ACCEPTED),
        Person("bob@example.com"),
    ]
    mine = ada.primary.add("Mine", "2027-03-22T10:00", attendees=people)
    theirs = ada.primary.add("Theirs", "2027-03-22T11:00", attendees=people)
    ada.primary.decline(mine)
    ada.primary.decline(theirs, who="bob@example.com")
    listing = await google.window(access, "primary", **WINDOW)
    statuses = {event.title: event.status for event in listing.events}
    assert statuses == {"Mine": EventStatus.CANCELLED, "Theirs": EventStatus.CONFIRMED}
    ada.primary.respond(mine, ResponseStatus.ACCEPTED)
    assert listing.cursor is not None
    changes = await google.changes(access, "primary", cursor=listing.cursor)
    assert [event.status for event in changes.events] == [EventStatus.CONFIRMED]


@pytest.mark.parametrize("nonsense", sorted(NONSENSE))
async def test_nonsense(
    cal: CalendarRehearsal, google: GoogleCalendarProvider, ada: Account, access: str, nonsense: str
) -> None:
    cal.google.fault(nonsense, times=None)
    for asked in (
        google.refresh(grant(ada)),
        google.calendars(access),
        google.calendar(access, "primary"),
        google.window(access, "primary", **WINDOW),
        google.changes(access, "primary", cursor="x"),
    ):
        with pytest.raises(UnreadableAnswerError):
            await asked


@pytest.mark.parametrize("fault", ["rate_limited", "user_rate_limited", "backend_error"])
async def test_throttling_that_is_over_soon_is_not_noticed(
    cal: CalendarRehearsal, google: GoogleCalendarProvider, ada: Account, access: str, fault: str
) -> None:
    ada.primary.add("Plan", NOW + timedelta(days=1))
    cal.google.fault(fault, "events.list")
    assert len((await google.window(access, "primary", **WINDOW)).events) == 1
    assert [asked.status for asked in cal.google.asked("events.list")][1:] == [200]


async def test_a_listing_whose_place_is_lost_begins_anew(
    cal: CalendarRehearsal, google: GoogleCalendarProvider, ada: Account, access: str
) -> None:
    for day in range(1, 6):
        ada.primary.add(f"{day}", NOW + timedelta(days=day))
    cal.google.paging.sizes = (2, 2)
    cal.google.fault("gone", "events.list", page=2)
    with pytest.raises(RetriableError) as failed:
        await google.window(access, "primary", **WINDOW)
    assert type(failed.value) is RetriableError
    listing = await google.window(access, "primary", **WINDOW)
    assert listing.cursor is not None
    for day in range(1, 6):
        ada.primary.add(f"more {day}", NOW + timedelta(days=day))
    cal.google.fault("gone", "events.list", page=2)
    with pytest.raises(CursorExpiredError):
        await google.changes(access, "primary", cursor=listing.cursor)


async def test_a_grant_that_is_taken_back_in_the_middle(
    cal: CalendarRehearsal, google: GoogleCalendarProvider, ada: Account, access: str
) -> None:
    for day in range(1, 6):
        ada.primary.add(f"{day}", NOW + timedelta(days=day))
    cal.google.paging.sizes = (2,)
    cal.google.fault("revoke", "events.list", page=2)
    with pytest.raises(TokenExpiredError):
        await google.window(access, "primary", **WINDOW)
    with pytest.raises(AccessRefusedError) as refused:
        await google.refresh(grant(ada))
    assert refused.value.status == ConnectionStatus.REVOKED


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("revoked", ConnectionStatus.REVOKED),
        ("invalid_rapt", ConnectionStatus.REVOKED),
        ("rapt_required", ConnectionStatus.REVOKED),
        ("admin_policy_enforced", ConnectionStatus.PERMISSION_DENIED),
        ("unauthorized_client", ConnectionStatus.ERROR),
        ("deleted_client", ConnectionStatus.ERROR),
    ],
)
async def test_grants_end_in_many_ways(
    google: GoogleCalendarProvider, ada: Account, reason: str, status: ConnectionStatus
) -> None:
    ada.revoke(reason)
    with pytest.raises(AccessRefusedError) as refused:
        await google.refresh(grant(ada))
    assert refused.value.status == status


async def test_a_box_that_was_not_ticked(
    cal: CalendarRehearsal, google: GoogleCalendarProvider
) -> None:
    bob = cal.google.account("bob@example.com", scopes=["openid"])
    with pytest.raises(AccessRefusedError) as refused:
        await google.refresh(grant(bob))
    assert refused.value.status == ConnectionStatus.PERMISSION_DENIED


async def test_a_scope_that_is_taken_back_later(
    google: GoogleCalendarProvider, ada: Account, access: str
) -> None:
    ada.grant.scopes -= {scope for scope in ada.grant.scopes if scope.startswith(CALENDAR)}
    with pytest.raises(AccessRefusedError, match=r"calendar\.readonly") as refused:
        await google.window(access, "primary", **WINDOW)
    assert refused.value.status == ConnectionStatus.PERMISSION_DENIED


async def test_the_scope_of_the_address_is_not_needed(
    cal: CalendarRehearsal, google: GoogleCalendarProvider
) -> None:
    bob = cal.google.account("bob@example.com", scopes=[f"{CALENDAR}.readonly"])
    access = await google.refresh(grant(bob))
    assert await google.account_email(access.text) == "bob@example.com"


async def test_the_first_notice_may_be_faster_than_the_answer(
    cal: CalendarRehearsal, google: GoogleCalendarProvider, access: str
) -> None:
    cal.google.sync_before_answer = True
    receiver = Receiver()
    async with serving(receiver) as url:
        order = SubscriptionOrder(uuid4(), f"{url}/push", "s3cret", NOW + timedelta(days=30))
        subscription = await google.subscribe(access, "primary", order)
        (got,) = receiver.received["/push"]
        (notice,) = google.notices(got.headers, got.body)
    assert (notice.kind, notice.channel_id) == (NoticeKind.BEGUN, order.channel_id)
    assert notice.resource_id == subscription.resource_id
    assert subscription.expires_at == NOW + timedelta(days=7)
