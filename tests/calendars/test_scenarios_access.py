"""Access that is lost, refused and won back: scenarios 35 to 40, 42 of the fact sheet, by number.

Each runs at every provider that knows it. Scenario 41 is in ``test_access.py``.
"""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from sitin.calendars.errors import AccessDeniedError, AccessTokenError, CalendarExistsError
from sitin.calendars.requests import UpdateCalendarConnectionRequestBody
from sitin.calendars.sync import MOST_FAILURES
from sitin.contract.calendars import CalendarPlatform, EventStatus
from sitin.jobs.interface import RetryLaterError
from sitin.rehearsal.calendars.google import oauth as google_oauth
from sitin.rehearsal.calendars.microsoft import oauth as microsoft_oauth
from tests.calendars.office import MEET, Office, at_google, at_microsoft

pytestmark = pytest.mark.db

LIST = {CalendarPlatform.GOOGLE: "events.list", CalendarPlatform.MICROSOFT: "delta"}

NO_CALENDARS = {
    CalendarPlatform.GOOGLE: {google_oauth.EMAIL, google_oauth.OPENID},
    CalendarPlatform.MICROSOFT: {microsoft_oauth.USER_READ, microsoft_oauth.OFFLINE},
}
"""What is granted where the box of the calendars was not ticked."""


async def with_bots(office: Office) -> None:
    """Three meetings with bots in a connected calendar, all of it already told."""
    for hour in range(1, 4):
        office.calendar.add(f"Meeting {hour}", office.at(hours=hour), meeting_url=MEET)
    await office.connect()
    for event in await office.events():
        await office.send_bot(event)
    await office.told()


async def is_untouched(office: Office) -> bool:
    """Whether the three meetings are there with their bots."""
    on = [one.title for one in await office.events() if one.status == EventStatus.CONFIRMED]
    return on == [f"Meeting {hour}" for hour in range(1, 4)] and len(await office.waiting()) == 3


async def patch(office: Office, **fields: str) -> None:
    """Give the connection other credentials, as the API does."""
    await office.calendars.connections.update(
        office.database.transaction,
        office.caller,
        office.connection_ids[0],
        UpdateCalendarConnectionRequestBody.model_validate(fields),
    )


async def told_statuses(office: Office) -> list[tuple[str, str]]:
    """The webhooks about the connection since the last look: the event, the status in it."""
    return [(event, data["status"]) for event, data in await office.told()]


def requests(office: Office, operation: str) -> int:
    """How often something was asked."""
    return len(office.provider.asked(operation))


class TestGone:
    """Scenario 35: the calendar is not there any more, or seems so."""

    @pytest.fixture(autouse=True)
    def another_calendar(self, office: Office) -> None:
        office.chosen = office.account.calendar("Team")

    async def test_35_deleted(self, office: Office) -> None:
        await with_bots(office)
        office.account.delete_calendar(office.calendar)
        await office.sync()
        connection = await office.connection()
        assert (connection.status, connection.sync_status) == ("error", "failed")
        assert connection.status_message is not None
        assert "deleted, or is not shared" in connection.status_message
        ((event, data),) = await office.told()
        assert (event, data["status"]) == ("connection_error", "error")
        assert data["error_message"] == connection.status_message
        assert await is_untouched(office)
        await office.work()
        assert office.provider.watchers() == []
        # It is looked for again, less and less often, and told once.
        waits = []
        for _ in range(3):
            await office.sync()
            waits.append((await office.connection()).next_sync_at)
        assert await office.told() == []
        assert waits == [office.at(seconds=seconds) for seconds in (20, 40, 80)]

    @at_google
    async def test_35_unshared_and_shared_again(self, office: Office) -> None:
        await with_bots(office)
        office.account.unshare(office.calendar)
        await office.sync()
        assert await told_statuses(office) == [("connection_error", "error")]
        await office.work()
        assert office.provider.watchers() == []
        office.calendar.add("New", office.at(hours=5), meeting_url=MEET)
        office.account.share(office.calendar)
        await office.sync()
        await office.work()
        assert await office.told_events() == ["event_created", "connection_updated"]
        assert (await office.connection()).status == "active"
        assert len(office.provider.watchers()) == 1

    async def test_35_a_single_refusal_wipes_nothing(self, office: Office) -> None:
        await with_bots(office)
        office.provider.fault("not_found", LIST[office.platform])
        await office.sync()
        assert await told_statuses(office) == [("connection_error", "error")]
        assert await is_untouched(office)
        await office.work()
        office.rehearsal.clock.move(timedelta(minutes=1))
        await office.calendars.keeping.look()
        await office.work()
        assert await told_statuses(office) == [("connection_updated", "active")]
        assert await is_untouched(office)
        assert len(office.provider.watchers()) == 1


class TestRevoked:
    """Scenario 36: the refresh token is taken back in the middle of a sync."""

    async def revoked(self, office: Office) -> None:
        await with_bots(office)
        for hour in range(3):
            office.calendar.add(f"New {hour}", office.at(hours=5 + hour), meeting_url=MEET)
        office.provider.paging.sizes = (1,) * 20
        office.provider.fault("revoke", LIST[office.platform], page=2)
        await office.sync()

    async def test_36_is_told_once_and_leaves_everything(self, office: Office) -> None:
        await self.revoked(office)
        assert await told_statuses(office) == [("connection_updated", "revoked")]
        connection = await office.connection()
        assert (connection.sync_status, connection.next_sync_at) == ("failed", None)
        assert connection.status_message is not None
        assert "oauth_refresh_token" in connection.status_message
        assert await is_untouched(office)
        await office.work()
        # Nobody asks any more until the customer has done something.
        asked = requests(office, "token")
        office.rehearsal.clock.move(timedelta(days=6))
        office.jobs.now += timedelta(days=6)
        for _ in range(3):
            await office.calendars.keeping.look()
            await office.work()
        assert requests(office, "token") == asked
        for ask in (office.calendars.connections.sync, office.calendars.connections.resubscribe):
            with pytest.raises(AccessTokenError):
                await ask(office.database.transaction, office.caller, connection.id)
        assert await office.told() == []

    async def test_36_other_credentials_win_it_back(self, office: Office) -> None:
        await self.revoked(office)
        await office.told()
        await patch(office, oauth_refresh_token=office.account.grant.renew())
        await office.work()
        told = await office.told_events()
        assert told == ["connection_updated", *["event_created"] * 3]
        connection = await office.connection()
        assert (connection.status, connection.status_message) == ("active", None)
        assert connection.sync_status == "success"
        assert len(office.provider.watchers()) == 1
        assert len(await office.waiting()) == 3

    async def test_36_credentials_that_are_no_better_say_so_and_change_nothing(
        self, office: Office
    ) -> None:
        await with_bots(office)
        with pytest.raises(AccessTokenError):
            await patch(office, oauth_refresh_token="somebody's")
        assert await told_statuses(office) == [("connection_error", "error")]
        # Its own were good all along, which the sync finds out.
        await office.work()
        assert await told_statuses(office) == [("connection_updated", "active")]
        assert await is_untouched(office)

    async def test_36_what_is_revoked_and_gets_no_better_is_told_once(self, office: Office) -> None:
        await self.revoked(office)
        await office.work()
        await office.told()
        for _ in range(2):
            with pytest.raises(AccessTokenError):
                await patch(office, oauth_refresh_token="somebody's")
            await office.work()
        assert await told_statuses(office) == [("connection_error", "error")]
        await patch(office, oauth_refresh_token=office.account.grant.renew())
        await office.work()
        assert (await office.connection()).status == "active"


class TestAccessTokens:
    """Scenario 37: an access token dies before its time."""

    async def test_37_one_refresh_and_one_more_request(self, office: Office) -> None:
        await with_bots(office)
        office.calendar.add("New", office.at(hours=5), meeting_url=MEET)
        operation = LIST[office.platform]
        office.provider.fault("expire_access", operation)
        before = (requests(office, "token"), requests(office, operation))
        await office.sync()
        after = (requests(office, "token"), requests(office, operation))
        assert (after[0] - before[0], after[1] - before[1]) == (1, 2)
        assert await office.told_events() == ["event_created"]

    async def test_37_a_fresh_one_that_is_refused_as_well_is_no_loop(self, office: Office) -> None:
        await with_bots(office)
        operation = LIST[office.platform]
        fault = office.provider.fault("unauthorised", operation, times=None)
        before = (requests(office, "token"), requests(office, operation))
        await office.sync()
        after = (requests(office, "token"), requests(office, operation))
        assert (after[0] - before[0], after[1] - before[1]) == (1, 2)
        assert await told_statuses(office) == [("connection_error", "error")]
        assert await is_untouched(office)
        fault.times = 0
        await office.sync()
        assert await told_statuses(office) == [("connection_updated", "active")]


class TestThrottled:
    """Scenario 38: what looks like a refusal and only asks for patience."""

    @pytest.mark.parametrize(
        ("platform", "what", "told", "seconds"),
        [
            (CalendarPlatform.GOOGLE, "rate_limited", 30, 30),
            (CalendarPlatform.GOOGLE, "rate_limited_429", 30, 30),
            (CalendarPlatform.GOOGLE, "user_rate_limited", None, 10),
            (CalendarPlatform.GOOGLE, "quota_exceeded", None, 60),
            (CalendarPlatform.MICROSOFT, "throttled", 30, 30),
            (CalendarPlatform.MICROSOFT, "service_unavailable", 30, 30),
        ],
        indirect=["platform"],
    )
    async def test_38_is_waited_for(
        self, office: Office, what: str, told: int | None, seconds: float
    ) -> None:
        await with_bots(office)
        operation = LIST[office.platform]
        fault = office.provider.fault(what, operation, times=None, retry_after=told)
        with pytest.raises(RetryLaterError) as raised:
            await office.sync()
        assert raised.value.after == timedelta(seconds=seconds)
        connection = await office.connection()
        assert (connection.status, connection.sync_status) == ("active", "failed")
        assert await office.told() == []
        fault.times = 0
        office.rehearsal.clock.move(timedelta(seconds=seconds))
        await office.sync()
        assert (await office.connection()).sync_status == "success"
        assert await is_untouched(office)
        assert await office.told() == []

    async def test_38_what_goes_on_for_long_is_told_once(self, office: Office) -> None:
        await with_bots(office)
        what = "rate_limited" if office.platform is CalendarPlatform.GOOGLE else "throttled"
        fault = office.provider.fault(what, LIST[office.platform], times=None, retry_after=30)
        waits = []
        for _ in range(MOST_FAILURES + 3):
            with pytest.raises(RetryLaterError) as raised:
                await office.sync()
            waits.append(raised.value.after.total_seconds())
            office.rehearsal.clock.move(raised.value.after)
        assert waits == [30, 30, 40, 80, 160, 320, 640, 1280]
        assert await told_statuses(office) == [("connection_error", "error")]
        assert await is_untouched(office)
        fault.times = 0
        await office.sync()
        assert await told_statuses(office) == [("connection_updated", "active")]


class TestScopes:
    """Scenario 39: the calendars were not granted."""

    @pytest.mark.parametrize("when", ["on a request", "on a refresh"])
    async def test_39_any_more(self, office: Office, when: str) -> None:
        await with_bots(office)
        granted = set(office.account.grant.scopes)
        office.account.grant.scopes = set(NO_CALENDARS[office.platform])
        if when == "on a refresh":
            office.account.expire_access()
        await office.sync()
        assert await told_statuses(office) == [("connection_updated", "permission_denied")]
        connection = await office.connection()
        assert connection.status_message is not None
        assert "grants no access to calendars" in connection.status_message
        assert connection.next_sync_at is None
        assert await is_untouched(office)
        for ask in (office.calendars.connections.sync, office.calendars.connections.resubscribe):
            with pytest.raises(AccessDeniedError):
                await ask(office.database.transaction, office.caller, connection.id)
        assert await office.told() == []
        office.account.grant.scopes = granted
        await office.calendars.connections.sync(
            office.database.transaction, office.caller, connection.id
        )
        await office.work()
        assert await told_statuses(office) == [("connection_updated", "active")]
        assert await is_untouched(office)

    async def test_39_from_the_beginning(self, office: Office) -> None:
        office.account.grant.scopes = set(NO_CALENDARS[office.platform])
        with pytest.raises(AccessDeniedError, match="grants no access to calendars"):
            await office.only_connect()
        assert await office.told() == []


@at_microsoft
class TestLicence:
    """Scenario 40: an account without a mailbox."""

    async def test_40_cannot_be_connected(self, office: Office) -> None:
        office.account.licensed = False
        with pytest.raises(AccessDeniedError, match="needs a Microsoft 365 license"):
            await office.only_connect()
        assert await office.told() == []

    @pytest.mark.parametrize(
        "what",
        ["mailbox_not_enabled", "mailbox_not_supported", "mailbox_nested", "mailbox_forbidden"],
    )
    async def test_40_however_it_is_said(self, office: Office, what: str) -> None:
        office.provider.fault(what, "calendars.*")
        with pytest.raises(AccessDeniedError, match="needs a Microsoft 365 license"):
            await office.only_connect()

    async def test_40_lost_later(self, office: Office) -> None:
        await with_bots(office)
        office.account.licensed = False
        await office.sync()
        assert await told_statuses(office) == [("connection_updated", "permission_denied")]
        assert await is_untouched(office)


class TestTwice:
    """Scenario 42: the same calendar once more."""

    async def refused(self, office: Office, **fields: Any) -> None:
        with pytest.raises(CalendarExistsError):
            await office.only_connect(**fields)
        await office.work()
        assert await office.told() == []

    async def test_42_by_its_alias_and_by_its_id(self, office: Office) -> None:
        await office.connect(raw_calendar_id="primary")
        await office.told()
        await self.refused(office, raw_calendar_id=office.account.primary.id)
        await self.refused(office, raw_calendar_id="primary")

    async def test_42_by_its_id_and_by_its_alias(self, office: Office) -> None:
        await office.connect(raw_calendar_id=office.account.primary.id)
        await office.told()
        await self.refused(office, raw_calendar_id="primary")

    @at_google
    async def test_42_in_other_letters(self, office: Office) -> None:
        office.account.calendar("Team", calendar_id="team@example.com")
        office.account.calendar("The same", calendar_id="Team@Example.com")
        await office.connect(raw_calendar_id="team@example.com")
        await office.told()
        await self.refused(office, raw_calendar_id="Team@Example.com")

    async def test_42_at_once(self, office: Office) -> None:
        answers = await asyncio.gather(
            *(office.only_connect() for _ in range(4)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, CalendarExistsError)]
        assert len(refused) == 3
        assert await office.told_events() == ["connection_created"]
