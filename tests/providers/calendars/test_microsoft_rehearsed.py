"""Graph against the one that runs here: what goes wrong between two good answers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from sitin.contract.calendars import (
    AccessRefusedError,
    CalendarPlatform,
    ConnectionStatus,
    CursorExpiredError,
    EventStatus,
    LicenseRequiredError,
    NoticeKind,
    OAuthGrant,
    ResponseStatus,
    SubscriptionGoneError,
    SubscriptionOrder,
    UnreadableAnswerError,
)
from sitin.contract.failures import RetriableError
from sitin.providers.calendars.microsoft import MicrosoftCalendarProvider
from sitin.providers.calendars.registry import build_calendar_providers
from sitin.providers.calendars.settings import CalendarSettings
from sitin.rehearsal.calendars import Account, CalendarRehearsal, Person, ShowAs
from sitin.rehearsal.calendars.faults import NONSENSE
from tests.conformance.calendar_stages import PushReceiver
from tests.serving import serving

pytestmark = pytest.mark.unit

NOW = datetime(2027, 3, 20, 12, tzinfo=UTC)
"""A Saturday, eight days before Europe's clocks go forward."""
WINDOW = {"start": NOW, "end": NOW + timedelta(days=30)}


@pytest.fixture
async def cal() -> AsyncIterator[CalendarRehearsal]:
    async with CalendarRehearsal(at=NOW, standing=True) as rehearsal:
        yield rehearsal


@pytest.fixture
def ada(cal: CalendarRehearsal) -> Account:
    return cal.microsoft.account("ada@contoso.com", name="Ada", zone="Europe/Paris")


@pytest.fixture
async def microsoft(cal: CalendarRehearsal) -> AsyncIterator[MicrosoftCalendarProvider]:
    provider = MicrosoftCalendarProvider(
        login_url=cal.microsoft.login_url, graph_url=cal.microsoft.graph_url, clock=cal.clock
    )
    yield provider
    await provider.aclose()


def grant(account: Account, tenant: str = "common") -> OAuthGrant:
    client = account.grant.client
    return OAuthGrant(client.id, client.secret, account.refresh_token, tenant)


@pytest.fixture
async def access(microsoft: MicrosoftCalendarProvider, ada: Account) -> str:
    return (await microsoft.refresh(grant(ada))).text


async def test_the_settings_lead_to_it(
    cal: CalendarRehearsal, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cal.environment.items():
        monkeypatch.setenv(name, value)
    providers = build_calendar_providers(CalendarSettings())
    microsoft = providers[CalendarPlatform.MICROSOFT]
    access = await microsoft.refresh(grant(ada, "contoso.com"))
    assert await microsoft.account_email(access.text) == "ada@contoso.com"
    await providers.aclose()


async def test_refresh_tokens_rotate(
    cal: CalendarRehearsal, microsoft: MicrosoftCalendarProvider, ada: Account
) -> None:
    cal.microsoft.old_refresh_tokens_die = True
    first = grant(ada)
    access = await microsoft.refresh(first)
    assert access.refresh_token == ada.refresh_token != first.refresh_token
    assert access.refresh_token is not None
    await microsoft.refresh(replace(first, refresh_token=access.refresh_token))
    with pytest.raises(AccessRefusedError) as refused:
        await microsoft.refresh(first)
    assert refused.value.status == ConnectionStatus.REVOKED


async def test_small_empty_and_overlapping_pages(
    cal: CalendarRehearsal, microsoft: MicrosoftCalendarProvider, ada: Account, access: str
) -> None:
    ada.primary.add("Weekly", "2027-03-22T10:00", recurrence="FREQ=WEEKLY;COUNT=3")
    ada.primary.add("Once", "2027-03-23T10:00")
    cal.microsoft.paging.sizes = (0, 1, 0, 1, 1)
    cal.microsoft.paging.repeat = True
    listing = await microsoft.window(access, ada.primary.id, **WINDOW)
    assert sorted(event.title for event in listing.events) == ["Once", *["Weekly"] * 3]
    assert len(cal.microsoft.asked("delta")) >= 5
    assert cal.microsoft.asked("events.get") == []


async def test_rounds_that_tell_more_than_once(
    cal: CalendarRehearsal, microsoft: MicrosoftCalendarProvider, ada: Account, access: str
) -> None:
    cal.microsoft.replays = True
    listing = await microsoft.window(access, ada.primary.id, **WINDOW)
    assert listing.cursor is not None
    ada.primary.add("One", "2027-03-22T10:00")
    first = await microsoft.changes(access, ada.primary.id, cursor=listing.cursor)
    ada.primary.add("Two", "2027-03-22T11:00")
    second = await microsoft.changes(access, ada.primary.id, cursor=first.cursor)
    assert sorted(event.title for event in second.events) == ["One", "Two"]


@pytest.mark.parametrize("silent", [True, False])
async def test_a_deleted_occurrence_with_and_without_a_mark(
    cal: CalendarRehearsal,
    microsoft: MicrosoftCalendarProvider,
    ada: Account,
    access: str,
    silent: bool,
) -> None:
    cal.microsoft.silent_deletions = silent
    series = ada.primary.add("Daily", "2027-03-21T10:00", recurrence="FREQ=DAILY;COUNT=3")
    listing = await microsoft.window(access, ada.primary.id, **WINDOW)
    assert listing.cursor is not None
    ada.primary.delete(series, on="2027-03-22")
    changes = await microsoft.changes(access, ada.primary.id, cursor=listing.cursor)
    assert sorted(event.start.day for event in changes.events) == [21, 23]
    assert {event.series_id for event in listing.events} <= changes.complete_series
    assert bool(changes.removed) is not silent


async def test_another_pattern_brings_other_occurrences(
    microsoft: MicrosoftCalendarProvider, ada: Account, access: str
) -> None:
    series = ada.primary.add("Daily", "2027-03-21T10:00", recurrence="FREQ=DAILY;COUNT=30")
    listing = await microsoft.window(access, ada.primary.id, **WINDOW)
    assert listing.cursor is not None
    ada.primary.repeat(series, "FREQ=WEEKLY;COUNT=4")
    changes = await microsoft.changes(access, ada.primary.id, cursor=listing.cursor)
    assert len(changes.events) == 4
    before, after = ({e.id for e in events} for events in (listing.events, changes.events))
    assert not before & after
    assert {event.series_id for event in listing.events} <= changes.complete_series


async def test_an_exception_that_loses_its_edit(
    microsoft: MicrosoftCalendarProvider, ada: Account, access: str
) -> None:
    series = ada.primary.add("Daily", "2027-03-21T10:00", recurrence="FREQ=DAILY;COUNT=2")
    ada.primary.edit(series, title="Special", on="2027-03-22")
    listing = await microsoft.window(access, ada.primary.id, **WINDOW)
    told = sorted((event.title, event.is_exception) for event in listing.events)
    assert told == [("Daily", False), ("Special", True)]
    assert listing.cursor is not None
    ada.primary.reset(series)
    changes = await microsoft.changes(access, ada.primary.id, cursor=listing.cursor)
    assert [(event.title, event.is_exception) for event in changes.events] == [("Daily", False)] * 2


async def test_clocks_that_go_forward_and_whole_days(
    microsoft: MicrosoftCalendarProvider, ada: Account, access: str
) -> None:
    ada.primary.add("Weekly", "2027-03-26T10:00", minutes=30, recurrence="FREQ=WEEKLY;COUNT=2")
    ada.primary.add("New York", "2027-03-29T10:00", zone="America/New_York")
    ada.primary.add("Custom", "2027-03-29T10:00", zone_label="tzone://Microsoft/Custom")
    ada.primary.add("Day", "2027-03-28")
    listing = await microsoft.window(access, ada.primary.id, **WINDOW)
    found = sorted((e.start, e.title, e.time_zone, e.is_all_day) for e in listing.events)
    assert found == [
        (datetime(2027, 3, 26, 9, tzinfo=UTC), "Weekly", "Europe/Paris", False),
        (datetime(2027, 3, 27, 23, tzinfo=UTC), "Day", None, True),
        (datetime(2027, 3, 29, 8, tzinfo=UTC), "Custom", "UTC", False),
        (datetime(2027, 3, 29, 14, tzinfo=UTC), "New York", "America/New_York", False),
        (datetime(2027, 4, 2, 8, tzinfo=UTC), "Weekly", "Europe/Paris", False),
    ]


async def test_who_declines_and_who_calls_off(
    microsoft: MicrosoftCalendarProvider, ada: Account, access: str
) -> None:
    people = [
        Person("ada@contoso.com", response=ResponseStatus.ACCEPTED),
        Person("bob@contoso.com"),
    ]
    made = {
        title: ada.primary.add(
            title, "2027-03-22T10:00", organizer="eve@contoso.com", attendees=people
        )
        for title in ("Mine", "Removed", "Theirs", "Off", "Perhaps")
    }
    ada.primary.decline(made["Mine"], keep=True)
    ada.primary.decline(made["Removed"])
    ada.primary.decline(made["Theirs"], who="bob@contoso.com")
    ada.primary.cancel(made["Off"])
    ada.primary.edit(made["Perhaps"], show_as=ShowAs.TENTATIVE)
    listing = await microsoft.window(access, ada.primary.id, **WINDOW)
    assert {event.title: event.status for event in listing.events} == {
        "Mine": EventStatus.CANCELLED,
        "Theirs": EventStatus.CONFIRMED,
        "Canceled: Off": EventStatus.CANCELLED,
        "Perhaps": EventStatus.TENTATIVE,
    }


async def test_links_are_hydrated(
    microsoft: MicrosoftCalendarProvider, ada: Account, access: str
) -> None:
    link = "https://teams.microsoft.com/l/meetup-join/1"
    ada.primary.add("Daily", "2027-03-21T10:00", recurrence="FREQ=DAILY", meeting_url=link)
    listing = await microsoft.window(access, ada.primary.id, **WINDOW)
    assert {event.links for event in listing.events} == {(link,)}
    assert len(listing.events) == 30


@pytest.mark.parametrize("nonsense", sorted(NONSENSE))
async def test_nonsense(
    cal: CalendarRehearsal,
    microsoft: MicrosoftCalendarProvider,
    ada: Account,
    access: str,
    nonsense: str,
) -> None:
    cal.microsoft.fault(nonsense, times=None)
    calendar = ada.primary.id
    for asked in (
        microsoft.refresh(grant(ada)),
        microsoft.calendars(access),
        microsoft.calendar(access, "primary"),
        microsoft.window(access, calendar, **WINDOW),
        microsoft.between(access, calendar, **WINDOW),
    ):
        with pytest.raises(UnreadableAnswerError):
            await asked


@pytest.mark.parametrize("fault", ["throttled", "service_unavailable", "gateway_timeout"])
async def test_throttling_that_is_over_soon_is_not_noticed(
    cal: CalendarRehearsal,
    microsoft: MicrosoftCalendarProvider,
    ada: Account,
    access: str,
    fault: str,
) -> None:
    ada.primary.add("Plan", NOW + timedelta(days=1))
    cal.microsoft.fault(fault, "delta")
    assert len((await microsoft.window(access, ada.primary.id, **WINDOW)).events) == 1
    assert len(cal.microsoft.asked("delta")) == 2


@pytest.mark.parametrize("code", ["SyncStateNotFound", "syncStateNotFound", "resyncRequired"])
@pytest.mark.parametrize("location", [True, False])
async def test_a_link_that_is_not_known_any_more(
    cal: CalendarRehearsal,
    microsoft: MicrosoftCalendarProvider,
    ada: Account,
    access: str,
    code: str,
    location: bool,
) -> None:
    cal.microsoft.gone_code = code
    cal.microsoft.gone_location = location
    for day in range(1, 6):
        ada.primary.add(f"{day}", NOW + timedelta(days=day))
    listing = await microsoft.window(access, ada.primary.id, **WINDOW)
    assert listing.cursor is not None
    ada.expire_sync()
    with pytest.raises(CursorExpiredError):
        await microsoft.changes(access, ada.primary.id, cursor=listing.cursor)
    cal.microsoft.paging.sizes = (2,)
    cal.microsoft.fault("expire_sync", "delta", page=2)
    with pytest.raises(RetriableError) as failed:
        await microsoft.window(access, ada.primary.id, **WINDOW)
    assert type(failed.value) is RetriableError


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("revoked", ConnectionStatus.REVOKED),
        ("mfa", ConnectionStatus.REVOKED),
        ("mfa_as_invalid_grant", ConnectionStatus.REVOKED),
        ("conditional_access", ConnectionStatus.REVOKED),
        ("consent_required", ConnectionStatus.PERMISSION_DENIED),
        ("admin_consent", ConnectionStatus.PERMISSION_DENIED),
        ("secret_expired", ConnectionStatus.ERROR),
        ("unauthorized_client", ConnectionStatus.ERROR),
    ],
)
async def test_grants_end_in_many_ways(
    microsoft: MicrosoftCalendarProvider, ada: Account, reason: str, status: ConnectionStatus
) -> None:
    ada.revoke(reason)
    with pytest.raises(AccessRefusedError) as refused:
        await microsoft.refresh(grant(ada))
    assert refused.value.status == status


async def test_a_tenant_that_there_is_not(
    microsoft: MicrosoftCalendarProvider, ada: Account
) -> None:
    with pytest.raises(AccessRefusedError, match="oauth_tenant_id") as refused:
        await microsoft.refresh(grant(ada, "nowhere.example"))
    assert refused.value.status == ConnectionStatus.ERROR


@pytest.mark.parametrize(
    "scopes",
    [
        ["offline_access", "https://graph.microsoft.com/Calendars.ReadWrite"],
        ["offline_access", "https://graph.microsoft.com/Calendars.Read"],
    ],
)
async def test_either_permission_is_enough(
    cal: CalendarRehearsal, microsoft: MicrosoftCalendarProvider, scopes: list[str]
) -> None:
    bob = cal.microsoft.account("bob@contoso.com", scopes=scopes)
    access = await microsoft.refresh(grant(bob))
    assert access.refresh_token
    assert await microsoft.account_email(access.text) == "bob@contoso.com"
    assert (await microsoft.window(access.text, bob.primary.id, **WINDOW)).events == ()


@pytest.mark.parametrize(
    "fault",
    ["mailbox_not_enabled", "mailbox_not_supported", "mailbox_nested", "mailbox_forbidden"],
)
async def test_an_account_without_a_mailbox(
    cal: CalendarRehearsal,
    microsoft: MicrosoftCalendarProvider,
    ada: Account,
    access: str,
    fault: str,
) -> None:
    cal.microsoft.fault(fault, times=None)
    with pytest.raises(LicenseRequiredError):
        await microsoft.calendars(access)
    with pytest.raises(LicenseRequiredError):
        await microsoft.window(access, ada.primary.id, **WINDOW)


async def test_the_life_of_a_subscription(
    cal: CalendarRehearsal, microsoft: MicrosoftCalendarProvider, ada: Account, access: str
) -> None:
    receiver = PushReceiver()
    async with serving(receiver) as url:
        order = SubscriptionOrder(uuid4(), f"{url}/push?x=1", "s3cret", NOW + timedelta(days=30))
        subscription = await microsoft.subscribe(access, ada.primary.id, order)
        assert subscription.expires_at == NOW + timedelta(minutes=4230)
        cal.microsoft.subscriptions.lifecycle(subscription.id, "missed")
        cal.microsoft.subscriptions.lifecycle(subscription.id, "reauthorizationRequired")
        cal.clock.move(timedelta(days=1))
        access = (await microsoft.refresh(grant(ada))).text
        renewed = await microsoft.renew(access, subscription, expires_at=order.expires_at)
        assert renewed.expires_at == NOW + timedelta(days=1, minutes=4230)
        cal.microsoft.subscriptions.lifecycle(subscription.id, "subscriptionRemoved")
        with pytest.raises(SubscriptionGoneError):
            await microsoft.renew(access, subscription, expires_at=order.expires_at)
        await microsoft.unsubscribe(access, subscription)
        await cal.pushes.settled()
        notices = [
            notice
            for got in receiver.received["/push"]
            for notice in microsoft.notices(got.headers, got.body)
        ]
    assert {notice.kind for notice in notices} == {
        NoticeKind.MISSED,
        NoticeKind.RENEWAL_WANTED,
        NoticeKind.REMOVED,
    }
    assert {(notice.channel_id, notice.secret) for notice in notices} == {
        (order.channel_id, order.secret)
    }
