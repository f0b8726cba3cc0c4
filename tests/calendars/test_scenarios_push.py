"""Notices of providers: scenarios 20 to 26 of the fact sheet, by number.

Each runs at every provider that knows it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from sitin.calendars.models import Channel
from sitin.calendars.schemas import ConnectionDetails
from sitin.calendars.tasks import SubscribeCalendar, SyncCalendar
from sitin.contract.calendars import CalendarPlatform
from sitin.jobs.interface import RetryLaterError
from sitin.kit.tls import trusted
from sitin.rehearsal.calendars import Event as RehearsedEvent
from sitin.rehearsal.calendars.calendar import Change, ChangeKind
from sitin.rehearsal.calendars.google.channels import Channel as GoogleChannel
from sitin.rehearsal.calendars.microsoft.subscriptions import Subscription
from sitin.rehearsal.calendars.pushes import Push
from tests.calendars.office import MEET, Office, at_google, at_microsoft

pytestmark = pytest.mark.db

LIST = {CalendarPlatform.GOOGLE: "events.list", CalendarPlatform.MICROSOFT: "delta"}
SUBSCRIBE = {
    CalendarPlatform.GOOGLE: "events.watch",
    CalendarPlatform.MICROSOFT: "subscriptions.create",
}

SECRET = {CalendarPlatform.GOOGLE: "token", CalendarPlatform.MICROSOFT: "state"}
"""What notices prove themselves with, as the rehearsal names it."""


async def connected(office: Office) -> RehearsedEvent:
    """An event in a connected calendar, already told."""
    event = office.calendar.add("Plan", office.at(days=6), meeting_url=MEET)
    await office.connect()
    await settled(office)
    await office.told()
    return event


async def settled(office: Office) -> None:
    """Do what follows from jobs that were done, until nothing does."""
    while office.jobs.waiting:
        await office.work()


async def settled_pushes(office: Office) -> None:
    """Let notices arrive, and do what follows."""
    await office.rehearsal.pushes.settled()
    await settled(office)


async def channels(office: Office) -> Sequence[Channel]:
    """What is on record of subscriptions, oldest first."""
    async with office.database.transaction() as session:
        return (await session.scalars(select(Channel).order_by(Channel.id))).all()


def asked(office: Office) -> int:
    """How many syncs have asked the provider."""
    return sum(one.page == 1 for one in office.provider.asked(LIST[office.platform]))


def syncs(office: Office) -> int:
    """How many syncs wait."""
    return sum(isinstance(job.payload, SyncCalendar) for job in office.jobs.waiting)


def subscription(office: Office) -> Subscription:
    """The only one at Microsoft."""
    (found,) = office.rehearsal.microsoft.subscriptions
    return found


def watcher(office: Office) -> GoogleChannel | Subscription:
    """Whoever the provider tells of changes; there is one."""
    if office.platform is CalendarPlatform.GOOGLE:
        (channel,) = office.rehearsal.google.channels
        return channel
    return subscription(office)


def notice(office: Office, event: RehearsedEvent, **forged: Any) -> Push:
    """A notice of a change, as it is or with something forged."""
    made = replace(watcher(office), **forged)
    if isinstance(made, GoogleChannel):
        return made.push("exists", 1000)
    push = made.notice(Change(event.id, None, ChangeKind.UPDATED))
    assert push is not None
    return push


async def answer(office: Office, push: Push) -> int | None:
    """How a notice is answered."""
    await office.rehearsal.pushes.now(push)
    return office.rehearsal.pushes.log[-1].status


async def details(office: Office) -> ConnectionDetails:
    """What the API tells of the connection."""
    async with office.database.transaction() as session:
        return await office.calendars.connections.details(
            session, office.caller, office.connection_ids[0]
        )


class TestRenewal:
    """Scenario 20, and the same at Microsoft, which renews in place."""

    async def renew(self, office: Office) -> None:
        """Let two thirds of the subscription's time pass, and a look at it."""
        (channel,) = await channels(office)
        assert channel.renew_at is not None
        lifetime = channel.expires_at - office.now
        assert channel.renew_at - office.now == lifetime * 2 / 3
        subscribed = len(office.provider.asked(SUBSCRIBE[office.platform]))
        office.rehearsal.clock.set(channel.renew_at - timedelta(minutes=1))
        await office.calendars.keeping.look()
        await settled(office)
        assert len(office.provider.asked(SUBSCRIBE[office.platform])) == subscribed
        assert [one.id for one in await channels(office)] == [channel.id]
        office.rehearsal.clock.set(channel.renew_at)
        await office.calendars.keeping.look()

    @at_google
    async def test_20_another_channel_takes_its_place(self, office: Office) -> None:
        event = await connected(office)
        (old,) = await channels(office)
        await self.renew(office)
        office.rehearsal.pushes.hold()
        office.calendar.edit(event, title="Plan B")
        await office.work()
        await settled(office)
        (new,) = await channels(office)
        (watching,) = office.rehearsal.google.channels
        assert (new.state, new.id != old.id, watching.id) == ("active", True, str(new.id))
        assert new.expires_at == office.at(days=7)
        # The old one's message arrives when there is nobody for it any more.
        office.rehearsal.pushes.release()
        await office.rehearsal.pushes.settled()
        assert str(old.id) in [one.subscriptions[0] for one in office.rehearsal.pushes.log]
        await settled(office)
        assert await office.told_events() == ["event_updated"]

    @at_google
    async def test_20_a_stop_that_fails_is_harmless(self, office: Office) -> None:
        await connected(office)
        office.provider.fault("not_found", "channels.stop")
        await self.renew(office)
        await settled(office)
        assert [channel.state for channel in await channels(office)] == ["active"]
        assert (await office.connection()).status == "active"
        assert len(office.provider.asked("channels.stop")) == 1

    @at_microsoft
    async def test_20_microsoft_renews_in_place(self, office: Office) -> None:
        await connected(office)
        (before,) = await channels(office)
        await self.renew(office)
        await settled(office)
        (after,) = await channels(office)
        assert (after.id, after.subscription_id) == (before.id, before.subscription_id)
        assert after.expires_at == office.at(minutes=4230) == subscription(office).expires_at
        assert len(office.provider.asked("subscriptions.create")) == 1


@at_microsoft
class TestLifecycle:
    """Scenario 21: what Microsoft says of a subscription's life."""

    async def miss_one(self, office: Office) -> None:
        """Something changes and nobody tells."""
        await connected(office)
        office.rehearsal.clock.move(timedelta(minutes=10))
        office.rehearsal.pushes.drop()
        office.calendar.add("Unheard", office.at(hours=1))

    async def expect_listed(self, office: Office) -> None:
        """The window was listed anew."""
        assert (await office.connection()).listed_at == office.now
        assert await office.told_events() == ["event_created"]

    async def test_21_a_removed_subscription(self, office: Office) -> None:
        await self.miss_one(office)
        old = subscription(office)
        office.rehearsal.microsoft.subscriptions.lifecycle(old.id, "subscriptionRemoved")
        await settled_pushes(office)
        assert subscription(office).id != old.id
        assert [one.subscription_id for one in await channels(office)] == [subscription(office).id]
        await self.expect_listed(office)

    async def test_21_a_renewal_that_finds_nothing(self, office: Office) -> None:
        await self.miss_one(office)
        old = subscription(office)
        office.rehearsal.microsoft.subscriptions.lifecycle(old.id, "reauthorizationRequired")
        office.rehearsal.microsoft.subscriptions.delete(old)
        await settled_pushes(office)
        assert subscription(office).id != old.id
        assert [one.subscription_id for one in await channels(office)] == [subscription(office).id]
        await self.expect_listed(office)

    async def test_21_missed_notices(self, office: Office) -> None:
        await self.miss_one(office)
        old = subscription(office)
        office.rehearsal.microsoft.subscriptions.lifecycle(old.id, "missed")
        await settled_pushes(office)
        assert subscription(office) == old
        await self.expect_listed(office)

    async def test_21_a_renewal_that_is_asked_for(self, office: Office) -> None:
        await connected(office)
        old = subscription(office)
        before = asked(office)
        office.rehearsal.clock.move(timedelta(minutes=10))
        office.rehearsal.microsoft.subscriptions.lifecycle(old.id, "reauthorizationRequired")
        await settled_pushes(office)
        assert subscription(office).id == old.id
        assert subscription(office).expires_at == office.at(minutes=4230)
        assert asked(office) == before


@at_microsoft
class TestHandshake:
    """Scenario 22: Microsoft asks whether the address is ours."""

    @pytest.fixture
    async def http(self) -> Any:
        """A client like Microsoft's."""
        async with httpx.AsyncClient(trust_env=False, verify=trusted()) as client:
            yield client

    @pytest.mark.parametrize(
        ("token", "encode"),
        [
            ("Validation: Testing client application reachability for id+1", quote_plus),
            ("a b:c+d%2B/é", quote_plus),
            ("a b:c+d%2B/é", quote),
        ],
    )
    async def test_22_the_token_comes_back_decoded(
        self, office: Office, http: httpx.AsyncClient, token: str, encode: Any
    ) -> None:
        url = f"{office.url}/calendar-notifications/microsoft?validationToken={encode(token)}"
        answered = await http.post(url)
        assert (answered.status_code, answered.text) == (200, token)
        assert answered.headers["content-type"].startswith("text/plain")

    async def test_22_nobody_can_make_us_say_a_page(
        self, office: Office, http: httpx.AsyncClient
    ) -> None:
        token = quote("<script>alert('x')</script>")
        url = f"{office.url}/calendar-notifications/microsoft?validationToken={token}"
        answered = await http.post(url)
        assert answered.text == "&lt;script&gt;alert('x')&lt;/script&gt;"
        assert answered.headers["content-type"].startswith("text/plain")
        assert answered.headers["x-content-type-options"] == "nosniff"

    async def test_22_while_our_request_is_open(
        self, office: Office, http: httpx.AsyncClient
    ) -> None:
        gate = office.provider.hold("subscriptions.create")
        await office.only_connect()
        working = asyncio.create_task(office.work())
        await gate.reached()
        url = f"{office.url}/calendar-notifications/microsoft?validationToken=now"
        assert (await http.post(url)).text == "now"
        assert not working.done()
        gate.open()
        await working
        # The rehearsal has asked for both addresses before it answered.
        (channel,) = await channels(office)
        assert (channel.state, channel.subscription_id) == ("active", subscription(office).id)


class TestSpoofed:
    """Scenario 23: what the provider did not send."""

    async def test_23_a_wrong_secret(self, office: Office) -> None:
        event = await connected(office)
        secret = SECRET[office.platform]
        right = str(getattr(watcher(office), secret))
        before = asked(office)
        for wrong in ("", "wrong", right[:-1], right.swapcase(), f"{right}x"):
            assert await answer(office, notice(office, event, **{secret: wrong})) == 404
        assert syncs(office) == 0
        assert await answer(office, notice(office, event)) == 202
        assert syncs(office) == 1
        await office.work()
        assert asked(office) == before + 1

    async def test_23_an_unknown_channel(self, office: Office) -> None:
        event = await connected(office)
        if office.platform is CalendarPlatform.GOOGLE:
            forged = {"id": str(uuid4())}
        else:
            _, _, known = str(subscription(office).state).partition(".")
            forged = {"state": f"{uuid4()}.{known}"}
        assert await answer(office, notice(office, event, **forged)) == 404
        assert syncs(office) == 0

    @at_google
    async def test_23_another_resource(self, office: Office) -> None:
        event = await connected(office)
        forged = notice(office, event, resource_id="somebody-elses")
        assert await answer(office, forged) == 404
        assert syncs(office) == 0

    @at_microsoft
    async def test_23_a_bad_item_does_not_void_the_good_ones(self, office: Office) -> None:
        event = await connected(office)
        good = notice(office, event)
        bad = notice(office, event, state=f"{uuid4()}.wrong")
        nonsense = replace(good, item={"clientState": 7})
        office.rehearsal.pushes.send([bad, nonsense, good])
        await office.rehearsal.pushes.settled()
        delivery = office.rehearsal.pushes.log[-1]
        assert (len(delivery.subscriptions), delivery.status) == (3, 202)
        assert syncs(office) == 1

    async def test_23_the_other_platforms_address(self, office: Office) -> None:
        """A channel of one platform proves nothing at the address of the other."""
        event = await connected(office)
        push = notice(office, event)
        other = next(one for one in CalendarPlatform if one is not office.platform)
        url = push.url.replace(office.platform.value, other.value)
        assert await answer(office, replace(push, url=url)) == 400
        assert syncs(office) == 0


class TestDuplicates:
    """Scenario 24: however often a change is told, it is synced and told once."""

    async def test_24_three_at_once_are_one(self, office: Office) -> None:
        event = await connected(office)
        before = asked(office)
        office.rehearsal.pushes.duplicate(3)
        office.calendar.edit(event, title="Plan B")
        await office.rehearsal.pushes.settled()
        assert [one.status for one in list(office.rehearsal.pushes.log)[-3:]] == [202] * 3
        assert syncs(office) == 1
        await settled(office)
        assert asked(office) == before + 1
        assert await office.told_events() == ["event_updated"]

    async def test_24_in_whatever_order(self, office: Office) -> None:
        event = await connected(office)
        office.rehearsal.pushes.hold()
        for title in ("Plan B", "Plan C"):
            office.calendar.edit(event, title=title)
        office.rehearsal.pushes.release(order="reversed")
        await settled_pushes(office)
        ((name, data),) = await office.told()
        assert name == "event_updated"
        assert [one["title"] for one in data["affected_instances"]] == ["Plan C"]

    async def test_24_nothing_is_told_when_nothing_differs(self, office: Office) -> None:
        event = await connected(office)
        before = asked(office)
        office.calendar.touch(event)
        await settled_pushes(office)
        assert asked(office) == before + 1
        assert await office.told() == []

    async def test_24_one_comes_during_a_sync(self, office: Office) -> None:
        event = await connected(office)
        gate = office.provider.hold(LIST[office.platform])
        office.calendar.edit(event, title="Plan B")
        running = asyncio.create_task(office.work())
        await gate.reached()
        office.calendar.edit(event, title="Plan C")
        await office.rehearsal.pushes.settled()
        assert syncs(office) == 1, "one is to follow"
        with pytest.raises(RetryLaterError):
            await office.sync()
        gate.open()
        await running
        await settled(office)
        told = await office.told()
        assert {name for name, _ in told} == {"event_updated"}
        assert [one["title"] for one in told[-1][1]["affected_instances"]] == ["Plan C"]
        assert len(told) == 1, "the sync that was held back has seen both changes"


class TestWhileItFails:
    """A notice is news: a sync that failed and waits is tried before, but never against a wish."""

    async def test_a_retry_is_brought_forward(self, office: Office) -> None:
        event = await connected(office)
        office.provider.fault("html", LIST[office.platform], times=3)
        office.calendar.edit(event, title="Plan B")
        await office.rehearsal.pushes.settled()
        for wait in (10, 20, 40):
            await forward(office)
            assert due(office) == timedelta(seconds=wait)
        office.calendar.edit(event, title="Plan C")
        await office.rehearsal.pushes.settled()
        assert due(office) == timedelta(seconds=10)
        await forward(office)
        ((_, data),) = [one for one in await office.told() if one[0] == "event_updated"]
        assert [one["title"] for one in data["affected_instances"]] == ["Plan C"]

    async def test_a_provider_that_asked_for_patience_is_left_alone(self, office: Office) -> None:
        event = await connected(office)
        what = "rate_limited" if office.platform is CalendarPlatform.GOOGLE else "throttled"
        office.provider.fault(what, LIST[office.platform], retry_after=300)
        office.calendar.edit(event, title="Plan B")
        await office.rehearsal.pushes.settled()
        await forward(office)
        before = asked(office)
        for title in ("Plan C", "Plan D"):
            office.calendar.edit(event, title=title)
            await office.rehearsal.pushes.settled()
            await forward(office)
        assert asked(office) == before
        assert due(office) == timedelta(seconds=280)
        await forward(office)
        assert asked(office) > before
        assert (await office.event("Plan D")).title == "Plan D"


def due(office: Office) -> timedelta:
    """How long the only sync that waits has to wait."""
    (job,) = [job for job in office.jobs.waiting if isinstance(job.payload, SyncCalendar)]
    return job.due - office.jobs.now


async def forward(office: Office) -> None:
    """Let the time pass until the sync is due, and run it."""
    wait = due(office)
    office.rehearsal.clock.move(wait)
    office.jobs.now += wait
    await office.jobs.work([office.calendars.sync.handler()])


@at_google
async def test_25_the_first_message_comes_before_the_answer(office: Office) -> None:
    office.rehearsal.google.sync_before_answer = True
    await office.connect()
    await settled_pushes(office)
    (message,) = office.rehearsal.pushes.log
    assert message.status == 202
    (channel,) = await channels(office)
    assert (channel.state, channel.resource_id is not None) == ("active", True)
    assert len(office.provider.asked("events.watch")) == 1
    # The first listing, and a look at what has changed until somebody watched.
    assert asked(office) == 2


async def test_nothing_falls_between_listing_and_subscribing(office: Office) -> None:
    gate = office.provider.hold(SUBSCRIBE[office.platform])
    await office.only_connect()
    working = asyncio.create_task(office.work())
    await gate.reached()
    office.calendar.add("Meanwhile", office.at(hours=1))
    gate.open()
    await working
    await settled(office)
    assert [event.title for event in await office.events()] == ["Meanwhile"]


async def test_a_connection_deleted_meanwhile_leaves_no_subscription(office: Office) -> None:
    gate = office.provider.hold(SUBSCRIBE[office.platform])
    connection_id = await office.only_connect()
    working = asyncio.create_task(office.work())
    await gate.reached()
    async with office.database.transaction() as session:
        await office.calendars.connections.delete(session, office.caller, connection_id)
    # What ends it finds that nobody knows it yet.
    await office.jobs.work(office.calendars.handlers)
    gate.open()
    await working
    await office.work()
    assert await channels(office) == []
    assert office.provider.watchers() == []


class TestNonsense:
    """A provider that makes no sense when it is asked to push."""

    @pytest.mark.parametrize("what", ["html", "cut_off", "wrong_types"])
    async def test_the_connection_says_so(self, office: Office, what: str) -> None:
        office.calendar.add("Plan", office.at(days=6))
        await office.only_connect()
        await office.jobs.work([office.calendars.sync.handler()])
        await office.told()
        office.provider.fault(what, SUBSCRIBE[office.platform])
        await office.jobs.work(office.calendars.handlers)
        told = await details(office)
        assert (told.status, told.subscription_id) == ("error", None)
        assert told.status_message is not None
        assert "not what its API promises" in told.status_message
        assert await office.told_events() == ["connection_error"]
        assert [event.title for event in await office.events()] == ["Plan"]
        # It is asked again, and read meanwhile.
        office.jobs.now += timedelta(minutes=10)
        await office.work()
        told = await details(office)
        assert (told.status, told.subscription_id is not None) == ("active", True)
        assert await office.told_events() == ["connection_updated"]

    @at_microsoft
    async def test_of_a_renewal_too(self, office: Office) -> None:
        await connected(office)
        (channel,) = await channels(office)
        assert channel.renew_at is not None
        office.rehearsal.clock.set(channel.renew_at)
        office.provider.fault("html", "subscriptions.renew")
        renewal = SubscribeCalendar(connection_id=office.connection_ids[0], renewed=True)
        with pytest.raises(RetryLaterError):
            await office.calendars.subscriptions.subscribe(renewal)
        told = await details(office)
        assert (told.status, told.subscription_id) == ("error", channel.subscription_id)


class TestPolling:
    """Scenario 26: a calendar whose changes are not pushed."""

    @pytest.fixture(params=["calendar", "address"])
    async def silent(self, office: Office, request: pytest.FixtureRequest) -> Office:
        """The office, connected to what does not push: this calendar, or to this address."""
        self.refuse(office, request.param, refused=True)
        office.calendar.add("Plan", office.at(hours=2))
        await office.connect()
        await settled(office)
        await office.told()
        return office

    def refuse(self, office: Office, why: str, *, refused: bool) -> None:
        """Have nothing pushed, or have it pushed again."""
        if why == "calendar":
            office.calendar.pushes = not refused
        elif office.platform is CalendarPlatform.GOOGLE:
            office.rehearsal.google.channels.only_https = refused
        else:
            office.rehearsal.microsoft.subscriptions.only_https = refused

    async def test_26_it_is_active_and_polled(self, silent: Office) -> None:
        told = await details(silent)
        assert (told.status, told.subscription_id, told.sync_status) == ("active", None, "success")
        assert await channels(silent) == []
        silent.calendar.add("Later", silent.at(hours=3))
        await silent.calendars.keeping.look()
        assert syncs(silent) == 0
        silent.rehearsal.clock.move(timedelta(minutes=5))
        await silent.calendars.keeping.look()
        assert syncs(silent) == 1
        await settled(silent)
        assert await silent.told_events() == ["event_created"]

    async def test_26_it_is_asked_again_with_the_next_listing(self, silent: Office) -> None:
        for why in ("calendar", "address"):
            self.refuse(silent, why, refused=False)
        silent.rehearsal.clock.move(timedelta(days=1, minutes=1))
        await silent.calendars.keeping.look()
        await settled(silent)
        assert (await details(silent)).subscription_id is not None
        silent.calendar.add("Later", silent.at(hours=3))
        await settled_pushes(silent)
        assert await silent.told_events() == ["event_created"]
