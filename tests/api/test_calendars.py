"""Connections to calendars over HTTP; what becomes of them later is in tests/calendars."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from sitin.accounts.plans import Plan
from sitin.calendars.models import Credentials
from sitin.contract.calendars import CalendarPlatform
from sitin.rehearsal.calendars.google import oauth as google_oauth
from sitin.rehearsal.calendars.microsoft import oauth as microsoft_oauth
from tests.api.desk import Desk, both, desk, error_of, every_page, platform

__all__ = ["desk", "platform"]

pytestmark = pytest.mark.db

CALENDARS = "/v2/calendars"
LIST_RAW = "/v2/calendars/list-raw"

NO_CALENDARS = {
    CalendarPlatform.GOOGLE: {google_oauth.EMAIL},
    CalendarPlatform.MICROSOFT: {microsoft_oauth.USER_READ, microsoft_oauth.OFFLINE},
}
UNAUTHORIZED = (401, "FST_ERR_CALENDAR_UNAUTHORIZED")
FORBIDDEN = (403, "FST_ERR_FORBIDDEN")
UNAVAILABLE = (500, "FST_ERR_CALENDAR_PROVIDER")


class TestConnecting:
    @both
    async def test_list_raw_tells_what_can_be_connected(self, desk: Desk) -> None:
        team = desk.account.calendar("Team")
        answer = await desk.post(LIST_RAW)
        assert answer.status_code == 200
        found = {one["id"]: (one["name"], one["is_primary"]) for one in answer.json()["data"]}
        assert found.keys() == {desk.account.primary.id, team.id}
        assert found[team.id] == ("Team", False)
        assert found[desk.account.primary.id][1] is True
        assert await desk.stored() == (0, 0)

    @both
    async def test_a_connection_is_made_synced_and_subscribed(self, desk: Desk) -> None:
        await desk.meetings("Plan")
        made = await desk.post(CALENDARS, raw_calendar_id="primary")
        assert made.status_code == 201
        data = made.json()["data"]
        assert (data["account_email"], data["status"]) == ("ada@example.com", "active")
        path = f"{CALENDARS}/{data['calendar_id']}"
        before = await desk.data(path)
        assert (before["synced_at"], before["sync_status"]) == (None, None)
        await desk.work()
        details = await desk.data(path)
        assert (details["status"], details["sync_status"]) == ("active", "success")
        assert details["synced_at"] is not None
        assert details["subscription_id"] is not None
        assert details["subscription_expires_at"] > details["synced_at"]
        assert details["provider_metadata"]["is_primary"] is True
        assert [one["title"] for one in await desk.data(f"{path}/events")] == ["Plan"]

    @both
    async def test_nothing_secret_is_shown_or_stored_in_the_clear(self, desk: Desk) -> None:
        path = await desk.connect()
        credentials = desk.credentials
        secrets = [credentials["oauth_client_secret"], credentials["oauth_refresh_token"]]
        for shown in (path, CALENDARS):
            answer = (await desk.api.client.get(shown)).text
            assert not any(secret in answer for secret in secrets)
        async with desk.api.house.database.transaction() as session:
            (row,) = (await session.scalars(select(Credentials))).all()
            stored = await session.scalar(
                text("SELECT to_jsonb(c)::text FROM calendar_credentials c")
            )
        assert row.access_token is not None
        assert not any(secret in stored for secret in secrets)
        assert "access-" not in stored


class TestRefused:
    """What the provider refuses is said in our words, and nothing is stored."""

    async def refused(self, desk: Desk, expected: tuple[int, str], **fields: Any) -> str:
        messages = []
        for path in (LIST_RAW, CALENDARS):
            answer = await desk.post(path, raw_calendar_id="primary", **fields)
            assert error_of(answer) == expected
            messages.append(answer.json()["message"])
        assert await desk.stored() == (0, 0)
        assert messages[0] == messages[1]
        message: str = messages[0]
        return message

    @both
    async def test_a_refresh_token_that_is_not_good(self, desk: Desk) -> None:
        said = await self.refused(desk, UNAUTHORIZED, oauth_refresh_token="nobody's")
        assert "oauth_refresh_token" in said

    @both
    async def test_a_grant_that_is_revoked(self, desk: Desk) -> None:
        desk.account.revoke()
        said = await self.refused(desk, UNAUTHORIZED)
        assert "oauth_refresh_token" in said

    @both
    @pytest.mark.parametrize("field", ["oauth_client_id", "oauth_client_secret"])
    async def test_a_client_that_is_not_good(self, desk: Desk, field: str) -> None:
        said = await self.refused(desk, UNAUTHORIZED, **{field: "another"})
        assert "oauth_client_id" in said

    @pytest.mark.parametrize(
        "platform", [CalendarPlatform.MICROSOFT], indirect=True, ids=["microsoft"]
    )
    @pytest.mark.parametrize("tenant", ["../common", "a b", "https://example.com"])
    async def test_a_tenant_that_is_none(self, desk: Desk, tenant: str) -> None:
        said = await self.refused(desk, UNAUTHORIZED, oauth_tenant_id=tenant)
        assert said.startswith("oauth_tenant_id")

    @both
    async def test_calendars_that_were_not_granted(self, desk: Desk) -> None:
        desk.account.grant.scopes = set(NO_CALENDARS[desk.platform])
        assert "grants no access to calendars" in await self.refused(desk, FORBIDDEN)

    @pytest.mark.parametrize(
        "platform", [CalendarPlatform.MICROSOFT], indirect=True, ids=["microsoft"]
    )
    async def test_an_account_without_a_licence(self, desk: Desk) -> None:
        desk.account.licensed = False
        assert "Microsoft 365 license" in await self.refused(desk, FORBIDDEN)

    @both
    @pytest.mark.parametrize("operation", ["token", "calendar*"])
    async def test_an_answer_that_makes_no_sense(self, desk: Desk, operation: str) -> None:
        for what in ("html", "cut_off", "no_object", "wrong_types", "empty"):
            desk.provider.faults.clear()
            desk.provider.fault(what, operation, times=None)
            said = await self.refused(desk, UNAVAILABLE)
            assert "answer is not what its API promises" in said, what

    @both
    async def test_a_provider_that_is_down(self, desk: Desk) -> None:
        google = desk.platform is CalendarPlatform.GOOGLE
        what = "backend_error" if google else "service_unavailable"
        desk.provider.fault(what, "token", times=None, retry_after=30)
        assert "status 503" in await self.refused(desk, UNAVAILABLE)

    @both
    @pytest.mark.parametrize("chosen", ["nobody@example.com", "..", "x" * 2000, "a?b#c", "a/b"])
    async def test_a_calendar_that_the_account_has_not(self, desk: Desk, chosen: str) -> None:
        answer = await desk.post(CALENDARS, raw_calendar_id=chosen)
        assert error_of(answer) == (404, "FST_ERR_CALENDAR_NOT_FOUND")
        assert await desk.stored() == (0, 0)

    async def test_one_that_is_connected_already(self, desk: Desk) -> None:
        await desk.connect()
        before = await desk.stored()
        for name in ("primary", desk.account.primary.id):
            answer = await desk.post(CALENDARS, raw_calendar_id=name)
            assert error_of(answer) == (409, "FST_ERR_CALENDAR_ALREADY_EXISTS")
            assert "PATCH" in answer.json()["message"]
        assert await desk.stored() == before
        stranger = await desk.api.stranger()
        await desk.connect(client=stranger)

    async def test_one_more_than_the_plan_allows(self, desk: Desk) -> None:
        plan = Plan(name="two", calendar_connections=2, counts_tokens=False)
        client = await desk.api.client_of(await desk.api.house.team(plan))
        others = [desk.account.calendar(f"{number}").id for number in range(2)]
        first = await desk.connect(client=client)
        await desk.connect(others[0], client)
        answer = await desk.post(CALENDARS, client, raw_calendar_id=others[1])
        assert error_of(answer) == FORBIDDEN
        assert "2 calendar connections" in answer.json()["message"]
        assert (await client.delete(first)).status_code == 200
        await desk.connect(others[1], client)

    async def test_too_many_writes(self, desk: Desk) -> None:
        plan = Plan(name="one a second", writes_per_second=1, counts_tokens=False)
        client = await desk.api.client_of(await desk.api.house.team(plan))
        assert (await desk.post(LIST_RAW, client)).status_code == 200
        async with desk.api.house.database.transaction() as session:
            await session.execute(text("UPDATE write_buckets SET at = now() + interval '1 hour'"))
        answer = await desk.post(CALENDARS, client, raw_calendar_id="primary")
        assert error_of(answer) == (429, "FST_ERR_TOO_MANY_REQUESTS")
        assert answer.json()["retryAfter"] >= 1
        assert await desk.stored() == (0, 0)


class TestBadInput:
    async def test_the_field_is_named(self, desk: Desk) -> None:
        path = await desk.connect()
        before = await desk.stored()
        texts = ("oauth_client_id", "oauth_client_secret", "oauth_refresh_token")
        values: tuple[Any, ...] = ("", 7, {})
        wrong = [(field, value) for field in texts for value in values]
        for field, value in (*wrong, ("oauth_tenant_id", 7)):
            for answer in (
                await desk.post(LIST_RAW, **{field: value}),
                await desk.post(CALENDARS, raw_calendar_id="primary", **{field: value}),
                await desk.api.client.patch(path, json={field: value}),
            ):
                assert error_of(answer) == (400, "FST_ERR_VALIDATION")
                assert answer.json()["message"].startswith(field), answer.text
        assert await desk.stored() == before

    async def test_what_is_missing_is_named(self, desk: Desk) -> None:
        for field in desk.credentials:
            for path in (LIST_RAW, CALENDARS):
                answer = await desk.post(path, raw_calendar_id="primary", **{field: None})
                assert error_of(answer) == (400, "FST_ERR_VALIDATION")
                assert answer.json()["message"].startswith(field)

    async def test_which_calendar_has_to_be_said(self, desk: Desk) -> None:
        for value in (None, "", 5):
            answer = await desk.post(CALENDARS, raw_calendar_id=value)
            assert error_of(answer) == (400, "FST_ERR_VALIDATION")
            assert answer.json()["message"].startswith("raw_calendar_id")

    async def test_a_platform_that_is_not_known(self, desk: Desk) -> None:
        answer = await desk.post(LIST_RAW, calendar_platform="outlook")
        assert error_of(answer) == (400, "FST_ERR_VALIDATION")
        assert answer.json()["message"].startswith("calendar_platform")

    async def test_a_filter_that_makes_no_sense(self, desk: Desk) -> None:
        for field, value in (
            ("status", "asleep"),
            ("calendar_platform", "outlook"),
            ("limit", "0"),
            ("limit", "251"),
            ("cursor", "nonsense"),
        ):
            answer = await desk.api.client.get(CALENDARS, params={field: value})
            assert error_of(answer) == (400, "FST_ERR_VALIDATION")
            assert answer.json()["message"].startswith(f"{field}: ")


class TestChanging:
    @both
    async def test_other_credentials(self, desk: Desk) -> None:
        path = await desk.connect()
        before = await desk.data(path)
        answer = await desk.api.client.patch(
            path, json={"oauth_refresh_token": desk.account.grant.renew()}
        )
        assert answer.status_code == 200
        assert answer.json()["data"]["status"] == "active"
        await desk.work()
        after = await desk.data(path)
        assert after["subscription_id"] not in (None, before["subscription_id"])
        assert after["sync_status"] == "success"
        assert len(desk.provider.watchers()) == 1

    async def test_what_is_not_given_stays(self, desk: Desk) -> None:
        path = await desk.connect()
        assert (await desk.api.client.patch(path, json={})).status_code == 200

    @both
    async def test_credentials_that_prove_bad(self, desk: Desk) -> None:
        path = await desk.connect()
        bad = {"oauth_refresh_token": "nobody's"}
        assert error_of(await desk.api.client.patch(path, json=bad)) == UNAUTHORIZED
        details = await desk.data(path)
        assert details["status"] == "error"
        assert "oauth_refresh_token" in details["status_message"]
        # Those that it had are good, which the next sync finds out.
        await desk.work()
        assert (await desk.data(path))["status"] == "active"

    @both
    async def test_credentials_that_grant_too_little(self, desk: Desk) -> None:
        path = await desk.connect()
        desk.account.grant.scopes = set(NO_CALENDARS[desk.platform])
        assert error_of(await desk.api.client.patch(path, json={})) == FORBIDDEN

    @both
    async def test_credentials_of_somebody_who_has_no_such_calendar(self, desk: Desk) -> None:
        team = desk.account.calendar("Team")
        path = await desk.connect(team.id)
        ben = desk.provider.account("ben@example.com")
        answer = await desk.api.client.patch(path, json={"oauth_refresh_token": ben.refresh_token})
        assert error_of(answer) == (404, "FST_ERR_CALENDAR_NOT_FOUND")
        await desk.work()
        assert (await desk.data(path))["status"] == "active"

    async def test_nonsense_changes_no_credentials_and_is_told(self, desk: Desk) -> None:
        path = await desk.connect()
        before = await desk.data(path)
        desk.provider.fault("html", "token", times=None)
        assert error_of(await desk.api.client.patch(path, json={})) == UNAVAILABLE
        assert await desk.data(path) == before
        for what in ("sync", "resubscribe"):
            assert error_of(await desk.api.client.post(f"{path}/{what}")) == UNAVAILABLE
            assert (await desk.data(path))["status"] == "error"
        desk.provider.faults.clear()
        assert (await desk.api.client.post(f"{path}/sync")).is_success
        await desk.work()
        assert (await desk.data(path))["status"] == "active"


class TestAsking:
    @both
    async def test_a_sync_lists_everything_anew(self, desk: Desk) -> None:
        path = await desk.connect()
        desk.api.rehearsal.pushes.drop(10)
        await desk.meetings("Plan")
        assert (await desk.api.client.post(f"{path}/sync")).status_code == 200
        await desk.work()
        assert [one["title"] for one in await desk.data(f"{path}/events")] == ["Plan"]

    @both
    async def test_another_subscription_takes_the_place_of_the_old(self, desk: Desk) -> None:
        path = await desk.connect()
        before = (await desk.data(path))["subscription_id"]
        answer = await desk.api.client.post(f"{path}/resubscribe")
        assert answer.status_code == 200
        assert path.endswith(answer.json()["data"]["calendar_id"])
        await desk.work()
        after = (await desk.data(path))["subscription_id"]
        assert after not in (None, before)
        assert len(desk.provider.watchers()) == 1

    @both
    @pytest.mark.parametrize("what", ["sync", "resubscribe"])
    async def test_what_is_refused_is_told_at_once(self, desk: Desk, what: str) -> None:
        path = await desk.connect()
        desk.account.revoke()
        assert error_of(await desk.api.client.post(f"{path}/{what}")) == UNAUTHORIZED
        details = await desk.data(path)
        assert details["status"] == "revoked"
        assert "oauth_refresh_token" in details["status_message"]
        desk.account.grant.renew()
        again = await desk.connect(desk.account.calendar("Team").id)
        desk.account.grant.scopes = set(NO_CALENDARS[desk.platform])
        assert error_of(await desk.api.client.post(f"{again}/{what}")) == FORBIDDEN
        assert (await desk.data(again))["status"] == "permission_denied"


async def test_a_deleted_connection_is_gone(desk: Desk) -> None:
    await desk.meetings("Plan")
    path = await desk.connect()
    (event,) = await desk.data(f"{path}/events")
    body = {"bot_name": "Notes", "event_id": event["event_id"], "all_occurrences": False}
    assert (await desk.api.client.post(f"{path}/bots", json=body)).status_code == 201
    assert (await desk.api.client.delete(path)).status_code == 200
    await desk.work()
    for answer in (
        await desk.api.client.get(path),
        await desk.api.client.delete(path),
        await desk.api.client.get(f"{path}/events"),
    ):
        assert error_of(answer) == (404, "FST_ERR_CALENDAR_NOT_FOUND")
    assert await desk.data(CALENDARS) == []
    statuses = await desk.data("/v2/bots/scheduled", status="scheduled")
    assert statuses == []
    assert desk.provider.watchers() == []
    await desk.connect()


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
async def test_an_unknown_one_is_a_404(desk: Desk, method: str) -> None:
    body: dict[str, Any] | None = {} if method == "patch" else None
    answer = await desk.api.client.request(method, f"{CALENDARS}/{uuid4()}", json=body)
    assert error_of(answer) == (404, "FST_ERR_CALENDAR_NOT_FOUND")


class TestLists:
    @pytest.fixture
    async def five(self, desk: Desk) -> list[str]:
        """The ids of five connections, the newest first."""
        paths = []
        for number in range(5):
            desk.api.house.clock.move(timedelta(seconds=1))
            paths.append(await desk.connect(desk.account.calendar(f"{number}").id))
        return [path.rpartition("/")[2] for path in reversed(paths)]

    async def test_the_newest_come_first_and_pages_lose_none(
        self, desk: Desk, five: list[str]
    ) -> None:
        pages, last = await every_page(desk.api.client, CALENDARS, limit=2)
        ids = [[one["calendar_id"] for one in page] for page in pages]
        assert ids == [five[:2], five[2:4], five[4:]]
        back = await desk.api.client.get(
            CALENDARS, params={"limit": 2, "cursor": last["prev_cursor"]}
        )
        assert [one["calendar_id"] for one in back.json()["data"]] == five[2:4]

    async def test_filters(self, desk: Desk, five: list[str]) -> None:
        client = desk.api.client
        microsoft = desk.api.rehearsal.microsoft.account("ben@elsewhere.example")
        other = Desk(desk.api, CalendarPlatform.MICROSOFT, microsoft)
        ben = (await other.connect()).rpartition("/")[2]
        microsoft.revoke()
        assert (await client.post(f"{CALENDARS}/{ben}/sync")).status_code == 401

        async def ids(**query: Any) -> list[str]:
            return [one["calendar_id"] for one in await desk.data(CALENDARS, **query)]

        assert await ids() == [ben, *five]
        assert await ids(account_email="ELSEWHERE") == [ben]
        assert await ids(account_email="%") == []
        assert await ids(calendar_platform="google") == five
        assert await ids(platform="microsoft") == [ben]
        assert await ids(calendar_platform="google,microsoft") == [ben, *five]
        assert await ids(status="revoked") == [ben]
        assert await ids(status="active,revoked") == [ben, *five]
        assert await ids(status="error") == []
        assert await ids(status="", account_email="", cursor="") == [ben, *five]
