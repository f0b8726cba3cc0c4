"""What every calendar provider does, whoever's platform it is."""

import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from sitin.contract.calendars import (
    AccessRefusedError,
    CalendarGoneError,
    CalendarPlatform,
    Changes,
    ConnectionStatus,
    CursorExpiredError,
    EventStatus,
    NoticeKind,
    ProviderEvent,
    PushRefusedError,
    SubscriptionGoneError,
    SubscriptionOrder,
    TokenExpiredError,
)
from sitin.contract.failures import RetriableError
from tests.conformance.calendar_stages import (
    NOW,
    WEEK,
    FakeStage,
    PushReceiver,
    Stage,
    google_stage,
    microsoft_stage,
)
from tests.serving import serving

pytestmark = pytest.mark.unit

END = NOW + timedelta(days=30)
MONDAY = NOW.replace(day=22, hour=9)


@pytest.fixture(params=["fake google", "fake microsoft", "google", "microsoft"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param.startswith("fake"):
        yield FakeStage(CalendarPlatform(request.param.removeprefix("fake ")))
        return
    receiver = PushReceiver()
    stage_of = {"google": google_stage, "microsoft": microsoft_stage}[request.param]
    async with serving(receiver) as url, stage_of(receiver, f"{url}/push") as stage:
        yield stage


Store = dict[str, ProviderEvent]


async def listed(stage: Stage, access: str, until: datetime = END) -> tuple[Store, str]:
    """What a new listing gives, and its cursor."""
    listing = await stage.provider.window(access, stage.calendar_id, start=NOW, end=until)
    assert listing.cursor is not None
    assert listing.covers_until is None or listing.covers_until >= until
    assert len({event.id for event in listing.events}) == len(listing.events)
    return {event.id: event for event in listing.events}, listing.cursor


def applied(store: Store, changes: Changes) -> Store:
    """What a store becomes by changes."""
    told = {event.id: event for event in changes.events}
    assert len(told) == len(changes.events)
    assert not told.keys() & changes.removed
    kept = {
        event_id: event
        for event_id, event in store.items()
        if event_id not in changes.removed and event.series_id not in changes.complete_series
    }
    everything = {**kept, **told}
    return {e.id: e for e in everything.values() if e.end > NOW and e.start < END}


async def followed(stage: Stage, access: str, store: Store, cursor: str) -> Store:
    """What the changes since a listing make of it: the same as a new listing."""
    changes = await stage.provider.changes(access, stage.calendar_id, cursor=cursor)
    found = applied(store, changes)
    assert found == (await listed(stage, access))[0]
    return found


def titles(store: Store) -> list[tuple[str, datetime]]:
    return sorted((event.title, event.start) for event in store.values())


class TestAccount:
    async def test_a_grant_gives_access(self, stage: Stage) -> None:
        access = await stage.refreshed()
        assert access.text
        assert access.expires_at > NOW
        assert (await stage.refreshed()).text

    async def test_the_account_has_an_address_and_calendars(self, stage: Stage) -> None:
        access = await stage.access()
        assert await stage.provider.account_email(access) == stage.email
        calendars = await stage.provider.calendars(access)
        (primary,) = [calendar for calendar in calendars if calendar.is_primary]
        assert primary.id == stage.calendar_id
        assert (primary.name, primary.email) == (stage.calendar_name, stage.email)
        assert await stage.provider.calendar(access, primary.id) == primary
        assert await stage.provider.calendar(access, "primary") == primary

    async def test_a_calendar_that_is_gone(self, stage: Stage) -> None:
        access = await stage.access()
        gone = stage.delete_calendar()
        with pytest.raises(CalendarGoneError):
            await stage.provider.calendar(access, gone)
        with pytest.raises(CalendarGoneError):
            await stage.provider.window(access, gone, start=NOW, end=END)
        with pytest.raises(CalendarGoneError):
            await stage.provider.between(access, gone, start=NOW, end=END)
        with pytest.raises(CalendarGoneError):
            await stage.provider.subscribe(access, gone, order(stage))

    async def test_an_access_token_that_is_over(self, stage: Stage) -> None:
        access = await stage.access()
        stage.expire_access()
        with pytest.raises(TokenExpiredError):
            await listed(stage, access)
        assert (await listed(stage, await stage.access()))[0] == {}

    async def test_a_grant_that_is_taken_back(self, stage: Stage) -> None:
        stage.revoke()
        with pytest.raises(AccessRefusedError) as refused:
            await stage.access()
        assert (refused.value.status, refused.value.by) == (ConnectionStatus.REVOKED, "customer")

    async def test_throttling_says_how_long(self, stage: Stage) -> None:
        access = await stage.access()
        stage.throttle(7)
        with pytest.raises(RetriableError) as failed:
            await listed(stage, access)
        assert failed.value.after == 7
        assert (await listed(stage, access))[0] == {}


class TestWindow:
    async def test_what_touches_the_window_is_listed(self, stage: Stage) -> None:
        stage.add("before", NOW - timedelta(minutes=30))
        stage.add("running", NOW - timedelta(minutes=30), minutes=31)
        stage.add("inside", MONDAY)
        stage.add("last", END - timedelta(minutes=1))
        stage.add("after", END)
        store, _ = await listed(stage, await stage.access())
        assert [title for title, _ in titles(store)] == ["inside", "last", "running"]

    async def test_an_event(self, stage: Stage) -> None:
        stage.add("Plan", MONDAY)
        (event,) = (await listed(stage, await stage.access()))[0].values()
        assert (event.title, event.start, event.end) == (
            "Plan",
            MONDAY,
            MONDAY + timedelta(minutes=30),
        )
        assert (event.series_id, event.family, event.is_exception) == (None, None, False)
        assert (event.status, event.is_meeting) == (EventStatus.CONFIRMED, True)
        assert (event.is_all_day, event.time_zone) == (False, "UTC")
        assert event.organizer_email == stage.email

    async def test_a_series_is_its_occurrences(self, stage: Stage) -> None:
        stage.add_weekly("Weekly", MONDAY - WEEK, times=20)
        store, _ = await listed(stage, await stage.access())
        starts = [MONDAY + number * WEEK for number in range(5)]
        assert titles(store) == [("Weekly", start) for start in starts]
        assert len({event.series_id for event in store.values()} - {None}) == 1
        assert len({event.family for event in store.values()} - {None}) == 1
        assert not any(event.is_exception for event in store.values())

    async def test_a_stretch_is_listed_alike(self, stage: Stage) -> None:
        stage.add_weekly("Weekly", MONDAY, times=9)
        stage.add("Once", MONDAY + 2 * WEEK)
        access = await stage.access()
        start, end = MONDAY + WEEK, MONDAY + 2 * WEEK + timedelta(hours=1)
        stretch = await stage.provider.between(access, stage.calendar_id, start=start, end=end)
        store, _ = await listed(stage, access)
        expected = {e.id: e for e in store.values() if e.end > start and e.start < end}
        assert {event.id: event for event in stretch} == expected
        assert len(expected) == 3

    async def test_many_events(self, stage: Stage) -> None:
        for number in range(1200):
            stage.add(f"{number:04}", MONDAY + timedelta(minutes=number))
        store, _ = await listed(stage, await stage.access())
        assert [title for title, _ in titles(store)] == [f"{n:04}" for n in range(1200)]


class TestChanges:
    async def test_nothing_has_changed(self, stage: Stage) -> None:
        stage.add("Plan", MONDAY)
        stage.add_weekly("Weekly", MONDAY, times=9)
        access = await stage.access()
        _, cursor = await listed(stage, access)
        for _ in range(2):
            changes = await stage.provider.changes(access, stage.calendar_id, cursor=cursor)
            assert (changes.events, changes.removed) == ((), frozenset())
            cursor = changes.cursor

    async def test_one_after_the_other(self, stage: Stage) -> None:
        access = await stage.access()
        store, cursor = await listed(stage, access)
        for number in range(3):
            stage.add(f"Plan {number}", MONDAY + timedelta(hours=number))
            changes = await stage.provider.changes(access, stage.calendar_id, cursor=cursor)
            assert [event.title for event in changes.events] == [f"Plan {number}"]
            store, cursor = applied(store, changes), changes.cursor
        assert store == (await listed(stage, access))[0]

    async def test_an_event_comes_changes_and_goes(self, stage: Stage) -> None:
        access = await stage.access()
        store, cursor = await listed(stage, access)
        event = stage.add("Plan", MONDAY)
        store = await followed(stage, access, store, cursor)
        (event_id,) = store

        _, cursor = await listed(stage, access)
        stage.rename(event, "Better plan")
        stage.move(event, MONDAY + timedelta(hours=1))
        store = await followed(stage, access, store, cursor)
        assert list(store) == [event_id]
        assert titles(store) == [("Better plan", MONDAY + timedelta(hours=1))]

        _, cursor = await listed(stage, access)
        stage.delete(event)
        assert await followed(stage, access, store, cursor) == {}

    async def test_an_event_leaves_the_window_and_comes_back(self, stage: Stage) -> None:
        access = await stage.access()
        event = stage.add("Plan", MONDAY)
        store, cursor = await listed(stage, access)
        stage.move(event, END + 10 * WEEK)
        assert await followed(stage, access, store, cursor) == {}
        _, cursor = await listed(stage, access)
        stage.move(event, MONDAY)
        assert await followed(stage, access, {}, cursor) == store

    async def test_a_declined_event_is_cancelled(self, stage: Stage) -> None:
        access = await stage.access()
        event = stage.add("Plan", MONDAY)
        store, cursor = await listed(stage, access)
        stage.decline(event)
        (declined,) = (await followed(stage, access, store, cursor)).values()
        assert declined.status == EventStatus.CANCELLED

    async def test_a_moved_occurrence_stays_itself(self, stage: Stage) -> None:
        access = await stage.access()
        series = stage.add_weekly("Weekly", MONDAY, times=9)
        store, cursor = await listed(stage, access)
        (moved,) = [e for e in store.values() if e.start == MONDAY + WEEK]
        stage.move(series, MONDAY + WEEK + timedelta(hours=3), on=MONDAY + WEEK)
        store = await followed(stage, access, store, cursor)
        event = store[moved.id]
        assert event.start == MONDAY + WEEK + timedelta(hours=3)
        assert (event.series_id, event.is_exception) == (moved.series_id, True)
        assert sum(e.is_exception is True for e in store.values()) == 1

    async def test_a_deleted_occurrence_is_gone(self, stage: Stage) -> None:
        access = await stage.access()
        series = stage.add_weekly("Weekly", MONDAY, times=9)
        store, cursor = await listed(stage, access)
        stage.delete(series, on=MONDAY + WEEK)
        store = await followed(stage, access, store, cursor)
        assert [start for _, start in titles(store)] == [
            MONDAY + number * WEEK for number in (0, 2, 3, 4)
        ]

    async def test_a_renamed_series_is_renamed_everywhere(self, stage: Stage) -> None:
        access = await stage.access()
        series = stage.add_weekly("Weekly", MONDAY, times=9)
        store, cursor = await listed(stage, access)
        stage.rename(series, "Each week")
        store = await followed(stage, access, store, cursor)
        assert {event.title for event in store.values()} == {"Each week"}
        assert len(store) == 5

    async def test_a_deleted_series_is_gone(self, stage: Stage) -> None:
        access = await stage.access()
        series = stage.add_weekly("Weekly", MONDAY, times=9)
        stage.add("Plan", MONDAY)
        store, cursor = await listed(stage, access)
        stage.delete(series)
        store = await followed(stage, access, store, cursor)
        assert titles(store) == [("Plan", MONDAY)]

    async def test_a_cursor_that_is_not_known_any_more(self, stage: Stage) -> None:
        access = await stage.access()
        stage.add("Plan", MONDAY)
        store, cursor = await listed(stage, access)
        stage.forget_cursors()
        with pytest.raises(CursorExpiredError):
            await stage.provider.changes(access, stage.calendar_id, cursor=cursor)
        again, cursor = await listed(stage, access)
        assert again == store
        assert await followed(stage, access, store, cursor) == store


class People:
    """Do something to a calendar, again and again; whatever they do is possible."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.random = random.Random(seed)
        self.singles: list[Any] = []
        self.series: dict[Any, list[datetime]] = {}
        """Every series with the original starts of its occurrences."""
        self.number = 0

    def act(self) -> None:
        """One change."""
        self.number += 1
        acts = [self.add_single, self.add_series]
        if self.singles:
            acts += [self.change_single] * 3
        if any(self.series.values()):
            acts += [self.change_occurrence] * 4 + [self.change_series]
        self.random.choice(acts)()

    def some_time(self) -> datetime:
        """Mostly inside the window."""
        return NOW + timedelta(hours=self.random.randrange(-24, 40 * 24))

    def add_single(self) -> None:
        self.singles.append(self.stage.add(f"single {self.number}", self.some_time()))

    def add_series(self) -> None:
        first, times = self.some_time(), self.random.randrange(2, 9)
        series = self.stage.add_weekly(f"series {self.number}", first, times=times)
        self.series[series] = [first + number * WEEK for number in range(times)]

    def change_single(self) -> None:
        event = self.random.choice(self.singles)
        match self.random.randrange(4):
            case 0:
                self.stage.rename(event, f"renamed {self.number}")
            case 1:
                self.stage.move(event, self.some_time())
            case 2:
                self.stage.decline(event)
            case _:
                self.singles.remove(event)
                self.stage.delete(event)

    def change_occurrence(self) -> None:
        series = self.random.choice([one for one, starts in self.series.items() if starts])
        on = self.random.choice(self.series[series])
        match self.random.randrange(3):
            case 0:
                self.stage.rename(series, f"renamed {self.number}", on=on)
            case 1:
                self.stage.move(series, on + timedelta(hours=self.random.randrange(1, 72)), on=on)
            case _:
                self.series[series].remove(on)
                self.stage.delete(series, on=on)

    def change_series(self) -> None:
        series = self.random.choice([one for one, starts in self.series.items() if starts])
        starts = self.series[series]
        match self.random.randrange(3):
            case 0:
                self.stage.rename(series, f"renamed {self.number}")
            case 1 if len(starts) > 1:
                on = starts[self.random.randrange(1, len(starts))]
                new = self.stage.split(series, on=on)
                self.series[new] = [start for start in starts if start >= on]
                self.series[series] = [start for start in starts if start < on]
            case _:
                del self.series[series]
                self.stage.delete(series)


@pytest.mark.parametrize("seed", range(6))
async def test_changes_make_of_a_listing_what_a_new_one_gives(stage: Stage, seed: int) -> None:
    people = People(stage, seed)
    access = await stage.access()
    store, cursor = await listed(stage, access)
    relisted = 0
    for _ in range(25):
        for _ in range(people.random.randrange(1, 4)):
            people.act()
        try:
            changes = await stage.provider.changes(access, stage.calendar_id, cursor=cursor)
        except CursorExpiredError:
            store, cursor = await listed(stage, access)
            relisted += 1
            continue
        store, cursor = applied(store, changes), changes.cursor
        assert store == (await listed(stage, access))[0]
    assert relisted < 5


def order(stage: Stage, channel_id: UUID | None = None) -> SubscriptionOrder:
    return SubscriptionOrder(
        channel_id=channel_id or uuid4(),
        address=stage.push_address,
        secret="s3cret",
        expires_at=NOW + timedelta(days=2),
    )


class TestPush:
    async def test_a_change_is_pushed(self, stage: Stage) -> None:
        access = await stage.access()
        ordered = order(stage)
        subscription = await stage.provider.subscribe(access, stage.calendar_id, ordered)
        assert NOW < subscription.expires_at <= ordered.expires_at
        stage.add("Plan", MONDAY)
        notices = [
            notice
            for headers, body in await stage.pushed()
            for notice in stage.provider.notices(headers, body)
        ]
        assert {notice.kind for notice in notices} >= {NoticeKind.CHANGED}
        assert {notice.kind for notice in notices} <= {NoticeKind.CHANGED, NoticeKind.BEGUN}
        for notice in notices:
            assert notice.channel_id == ordered.channel_id
            assert notice.secret == ordered.secret
            assert notice.resource_id == subscription.resource_id

    async def test_an_ended_subscription_is_silent(self, stage: Stage) -> None:
        access = await stage.access()
        subscription = await stage.provider.subscribe(access, stage.calendar_id, order(stage))
        before = await stage.pushed()
        for _ in range(2):
            await stage.provider.unsubscribe(access, subscription)
        stage.add("Plan", MONDAY)
        after = await stage.pushed()
        assert len(after) <= len(before)

    async def test_renewal(self, stage: Stage) -> None:
        access = await stage.access()
        subscription = await stage.provider.subscribe(access, stage.calendar_id, order(stage))
        later = subscription.expires_at + timedelta(hours=12)
        if stage.provider.capabilities.renews_in_place:
            renewed = await stage.provider.renew(access, subscription, expires_at=later)
            assert renewed.id == subscription.id
            assert subscription.expires_at < renewed.expires_at <= later
            await stage.provider.unsubscribe(access, subscription)
        with pytest.raises(SubscriptionGoneError):
            await stage.provider.renew(access, subscription, expires_at=later)

    async def test_a_platform_that_does_not_push(self, stage: Stage) -> None:
        stage.refuse_pushes()
        with pytest.raises(PushRefusedError):
            await stage.provider.subscribe(await stage.access(), stage.calendar_id, order(stage))

    def test_what_is_no_push_at_all(self, stage: Stage) -> None:
        with pytest.raises(ValueError, match=r"push|not"):
            stage.provider.notices({"content-type": "text/html"}, b"<html>")
