"""Google Calendar over HTTP: what is asked, how answers and failures are read."""

import logging
import traceback
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sitin.contract.calendars import (
    AccessRefusedError,
    CalendarGoneError,
    ConnectionStatus,
    CursorExpiredError,
    Notice,
    NoticeKind,
    PushRefusedError,
    Subscription,
    SubscriptionGoneError,
    SubscriptionOrder,
    TokenExpiredError,
    UnreadableAnswerError,
)
from sitin.contract.failures import AdapterError, RetriableError
from sitin.providers.calendars.google import GoogleCalendarProvider
from tests.providers.calendars.conftest import GRANT, NOW
from tests.providers.calendars.scripted import Scripted

pytestmark = pytest.mark.unit

READONLY = "https://www.googleapis.com/auth/calendar.readonly"
CHANNEL = UUID("0197f6a0-0000-7000-8000-000000000001")
ORDER = SubscriptionOrder(
    channel_id=CHANNEL,
    address="https://sitin.example/push",
    secret="s3cret",
    expires_at=NOW + timedelta(days=7),
)
SUBSCRIPTION = Subscription(id=str(CHANNEL), resource_id="res", expires_at=NOW)
WINDOW = {"start": NOW, "end": NOW + timedelta(days=30)}


def refusal(status: int, *reasons: str, **more: Any) -> dict[str, Any]:
    errors = [{"domain": "calendar", "reason": reason, **more} for reason in reasons]
    return {"error": {"code": status, "message": "No.", "errors": errors}}


def event(event_id: str = "a", day: int = 11, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "calendar#event",
        "id": event_id,
        "status": "confirmed",
        "start": {"dateTime": f"2027-01-{day}T09:00:00Z"},
        "end": {"dateTime": f"2027-01-{day}T10:00:00Z"},
        **fields,
    }


def cancelled(event_id: str, series: str | None = None) -> dict[str, Any]:
    instance = {"recurringEventId": series} if series else {}
    return {"id": event_id, "status": "cancelled", **instance}


def page(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"kind": "calendar#events", "timeZone": "Europe/Paris", "items": items, **fields}


class TestRefresh:
    """The token endpoint."""

    async def test_what_is_asked_and_answered(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        token = {"access_token": "ya29.x", "expires_in": 3599, "scope": f"openid {READONLY}"}
        platform.answer(200, token)
        access = await google.refresh(GRANT)
        assert (access.text, access.refresh_token) == ("ya29.x", None)
        assert access.expires_at == NOW + timedelta(seconds=3599)
        (asked,) = platform.asked
        assert (asked.method, asked.path) == ("POST", "/token")
        assert "authorization" not in asked.headers
        assert asked.form == {
            "grant_type": "refresh_token",
            "client_id": "our-client",
            "client_secret": "our-secret",
            "refresh_token": "our-refresh-token",
        }

    async def test_a_new_refresh_token_is_handed_on(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(200, {"access_token": "x", "refresh_token": "new"})
        assert (await google.refresh(GRANT)).refresh_token == "new"

    @pytest.mark.parametrize(("said", "seconds"), [(10**12, 86_400), (-5, 0), ("60", 60)])
    async def test_a_lifetime_is_within_reason(
        self, google: GoogleCalendarProvider, platform: Scripted, said: Any, seconds: int
    ) -> None:
        platform.answer(200, {"access_token": "x", "expires_in": said})
        assert (await google.refresh(GRANT)).expires_at == NOW + timedelta(seconds=seconds)

    @pytest.mark.parametrize("scope", ["", "openid", f"{READONLY}.extra"])
    async def test_a_token_without_calendars_is_a_missing_permission(
        self, google: GoogleCalendarProvider, platform: Scripted, scope: str
    ) -> None:
        platform.answer(200, {"access_token": "x", "scope": scope})
        with pytest.raises(AccessRefusedError, match=r"calendar\.readonly") as refused:
            await google.refresh(GRANT)
        assert refused.value.status == ConnectionStatus.PERMISSION_DENIED

    @pytest.mark.parametrize(
        ("status", "body", "connection"),
        [
            (400, {"error": "invalid_grant"}, ConnectionStatus.REVOKED),
            (
                400,
                {"error": "invalid_grant", "error_subtype": "invalid_rapt"},
                ConnectionStatus.REVOKED,
            ),
            (
                400,
                {"error": "invalid_grant", "error_subtype": "rapt_required"},
                ConnectionStatus.REVOKED,
            ),
            (401, {"error": "invalid_client"}, ConnectionStatus.ERROR),
            (401, {"error": "deleted_client"}, ConnectionStatus.ERROR),
            (401, {"error": "unauthorized_client"}, ConnectionStatus.ERROR),
            (400, {"error": "unauthorized_client"}, ConnectionStatus.ERROR),
            (400, {"error": "invalid_scope"}, ConnectionStatus.PERMISSION_DENIED),
            (400, {"error": "admin_policy_enforced"}, ConnectionStatus.PERMISSION_DENIED),
            (403, {"error": "org_internal"}, ConnectionStatus.PERMISSION_DENIED),
        ],
    )
    async def test_refusals(
        self,
        google: GoogleCalendarProvider,
        platform: Scripted,
        status: int,
        body: dict[str, str],
        connection: ConnectionStatus,
    ) -> None:
        platform.answer(status, {**body, "error_description": "our-refresh-token is bad"})
        with pytest.raises(AccessRefusedError) as refused:
            await google.refresh(GRANT)
        assert (refused.value.status, refused.value.by) == (connection, "customer")
        assert "our-" not in repr(refused.value)

    @pytest.mark.parametrize("status", [408, 429, 500, 503])
    async def test_what_passes_is_retriable(
        self, google: GoogleCalendarProvider, platform: Scripted, status: int
    ) -> None:
        platform.answer(status, {"error": "invalid_grant"}, retry_after="7")
        with pytest.raises(RetriableError) as failed:
            await google.refresh(GRANT)
        assert type(failed.value) is RetriableError
        assert failed.value.after == 7

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (200, "<html>gateway</html>"),
            (200, {}),
            (200, {"access_token": ""}),
            (200, {"access_token": "a\nb"}),
            (200, {"access_token": "ya29.\u00e9"}),
            (400, "<html>gateway</html>"),
            (400, {"error": 5}),
            (400, {"error": "something_new"}),
            (404, ""),
        ],
    )
    async def test_nonsense(
        self, google: GoogleCalendarProvider, platform: Scripted, status: int, body: Any
    ) -> None:
        platform.answer(status, body)
        with pytest.raises(UnreadableAnswerError) as failed:
            await google.refresh(GRANT)
        assert "ya29" not in failed.value.message


class TestFailures:
    """Refusals of the API, told apart by their reasons."""

    @pytest.mark.parametrize(
        ("status", "body", "kind", "connection"),
        [
            (401, refusal(401, "authError"), TokenExpiredError, None),
            (401, "", TokenExpiredError, None),
            (403, refusal(403, "rateLimitExceeded"), RetriableError, None),
            (403, refusal(403, "userRateLimitExceeded"), RetriableError, None),
            (403, refusal(403, "quotaExceeded"), RetriableError, None),
            (429, refusal(429, "rateLimitExceeded"), RetriableError, None),
            (
                403,
                refusal(403, "insufficientPermissions"),
                AccessRefusedError,
                ConnectionStatus.PERMISSION_DENIED,
            ),
            (
                403,
                {
                    "error": {
                        "code": 403,
                        "details": [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}],
                    }
                },
                AccessRefusedError,
                ConnectionStatus.PERMISSION_DENIED,
            ),
            (
                403,
                refusal(403, "forbidden"),
                AccessRefusedError,
                ConnectionStatus.PERMISSION_DENIED,
            ),
            (
                403,
                refusal(403, "accessNotConfigured"),
                AccessRefusedError,
                ConnectionStatus.ERROR,
            ),
            (403, "<html>gateway</html>", UnreadableAnswerError, None),
            (404, refusal(404, "notFound"), CalendarGoneError, ConnectionStatus.ERROR),
            (404, "<html>gateway</html>", UnreadableAnswerError, None),
            (400, refusal(400, "timeRangeEmpty"), UnreadableAnswerError, None),
            (410, refusal(410, "fullSyncRequired"), RetriableError, None),
            (500, refusal(500, "backendError"), RetriableError, None),
            (503, "", RetriableError, None),
        ],
    )
    async def test_listing(
        self,
        google: GoogleCalendarProvider,
        platform: Scripted,
        status: int,
        body: Any,
        kind: type[AdapterError],
        connection: ConnectionStatus | None,
    ) -> None:
        platform.answer(status, body)
        with pytest.raises(kind) as failed:
            await google.window("token-x", "primary", **WINDOW)
        if kind is RetriableError:
            assert type(failed.value) is RetriableError
        assert getattr(failed.value, "status", None) == connection
        assert "token-x" not in failed.value.message

    async def test_a_redirect_is_the_operators_to_mend(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(307, location="/elsewhere")
        with pytest.raises(AdapterError, match="SITIN_GOOGLE_API_URL") as refused:
            await google.calendars("x")
        assert getattr(refused.value, "by", None) == "operator"
        assert len(platform.asked) == 1

    async def test_silence_is_retriable(self) -> None:
        nobody = GoogleCalendarProvider(
            token_url="http://127.0.0.1:1/token", api_url="http://127.0.0.1:1", patience=0
        )
        with pytest.raises(RetriableError, match="could not be reached"):
            await nobody.refresh(GRANT)
        await nobody.aclose()

    async def test_a_quota_that_is_spent_is_waited_for(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(403, refusal(403, "quotaExceeded"))
        with pytest.raises(RetriableError) as failed:
            await google.window("x", "primary", **WINDOW)
        assert failed.value.after == 60

    async def test_what_is_gone_without_a_cursor_is_the_calendar(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(410, refusal(410, "deleted"))
        with pytest.raises(CalendarGoneError):
            await google.calendar("x", "cal")

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (410, refusal(410, "fullSyncRequired")),
            (410, refusal(410, "updatedMinTooLongAgo")),
            (410, ""),
            (400, refusal(400, "invalid", location="syncToken", locationType="parameter")),
        ],
    )
    async def test_a_cursor_that_is_not_known_any_more(
        self, google: GoogleCalendarProvider, platform: Scripted, status: int, body: Any
    ) -> None:
        platform.answer(200, page(event(), nextPageToken="p2"))
        platform.answer(status, body)
        with pytest.raises(CursorExpiredError):
            await google.changes("x", "primary", cursor="old")


class TestWindow:
    """Listing."""

    async def test_what_is_asked(self, google: GoogleCalendarProvider, platform: Scripted) -> None:
        platform.answer(200, page(nextSyncToken="s1"))
        listing = await google.window("token-x", "a#holiday@group.v.calendar.google.com", **WINDOW)
        assert (listing.events, listing.cursor, listing.covers_until) == ((), "s1", None)
        (asked,) = platform.asked
        calendar = "a%23holiday%40group.v.calendar.google.com"
        assert asked.path == f"/calendar/v3/calendars/{calendar}/events"
        assert asked.headers["authorization"] == "Bearer token-x"
        assert asked.query == {
            "singleEvents": "true",
            "showDeleted": "true",
            "maxResults": "500",
            "timeMin": "2027-01-10T12:00:00.000Z",
            "timeMax": "2027-02-09T12:00:00.000Z",
        }

    async def test_pages_may_be_empty_and_repeat_events(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(200, page(nextPageToken="p2"))
        platform.answer(200, page(event("a"), event("b"), nextPageToken="p3"))
        platform.answer(200, page(event("a", summary="New"), nextSyncToken="s1"))
        listing = await google.window("x", "primary", **WINDOW)
        assert {e.id: e.title for e in listing.events} == {"a": "New", "b": ""}
        assert listing.cursor == "s1"
        first, second, third = (dict(asked.query) for asked in platform.asked)
        assert (second.pop("pageToken"), third.pop("pageToken")) == ("p2", "p3")
        assert first == second == third

    async def test_what_is_cancelled_or_elsewhere_is_left_out(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        whole = event("gone", status="cancelled")
        edges = {"dateTime": "2027-01-10T12:00:00Z"}
        before = event("before", start={"dateTime": "2027-01-10T11:00:00Z"}, end=edges)
        running = event("running", start=before["start"], end={"dateTime": "2027-01-10T12:00:01Z"})
        platform.answer(200, page(cancelled("id-only"), whole, before, running))
        listing = await google.window("x", "primary", **WINDOW)
        assert [e.id for e in listing.events] == ["running"]
        assert listing.cursor is None

    async def test_a_stretch_is_asked_alike(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(200, page(event("a"), nextSyncToken="s1"))
        assert [e.id for e in await google.between("x", "primary", **WINDOW)] == ["a"]

    @pytest.mark.parametrize(
        "body",
        [
            "<html>",
            "[]",
            {"items": 7},
            page({"id": "a"}),
            page({"id": ""}),
            page(event(start={"dateTime": "yesterday"})),
        ],
    )
    async def test_nonsense(
        self, google: GoogleCalendarProvider, platform: Scripted, body: Any
    ) -> None:
        platform.answer(200, body)
        with pytest.raises(UnreadableAnswerError):
            await google.window("x", "primary", **WINDOW)

    async def test_a_list_without_an_end(
        self,
        google: GoogleCalendarProvider,
        platform: Scripted,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("sitin.providers.calendars.google.provider.MOST_PAGES", 3)
        for _ in range(4):
            platform.answer(200, page(nextPageToken="again"))
        with pytest.raises(UnreadableAnswerError, match="no end"):
            await google.window("x", "primary", **WINDOW)
        assert len(platform.asked) == 3

    async def test_an_answer_without_an_end(
        self,
        google: GoogleCalendarProvider,
        platform: Scripted,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("sitin.providers.calendars.asking.LARGEST_ANSWER", 1000)
        platform.answer(200, page(event(summary="x" * 5000)))
        with pytest.raises(UnreadableAnswerError, match="larger"):
            await google.window("x", "primary", **WINDOW)

    @pytest.mark.parametrize("calendar_id", ["", ".", "..", "x" * 2000])
    async def test_an_id_does_not_become_a_path(
        self, google: GoogleCalendarProvider, platform: Scripted, calendar_id: str
    ) -> None:
        with pytest.raises(CalendarGoneError):
            await google.window("x", calendar_id, **WINDOW)
        assert platform.asked == []


class TestChanges:
    """What a token tells."""

    async def test_what_is_asked_and_told(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        far = event("far", start={"dateTime": "2040-01-01T09:00:00Z"})
        platform.answer(200, page(event("a"), far, nextPageToken="p2"))
        platform.answer(200, page(cancelled("b"), nextSyncToken="s2"))
        changes = await google.changes("x", "primary", cursor="s1")
        assert [e.id for e in changes.events] == ["a", "far"]
        assert changes.removed == {"b"}
        assert changes.complete_series == frozenset()
        assert changes.cursor == "s2"
        same = {
            "singleEvents": "true",
            "showDeleted": "true",
            "maxResults": "500",
            "syncToken": "s1",
        }
        assert [asked.query for asked in platform.asked] == [same, {**same, "pageToken": "p2"}]

    async def test_what_was_said_last_counts(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(200, page(event("a"), cancelled("b"), nextPageToken="p2"))
        platform.answer(200, page(cancelled("a"), event("b"), nextSyncToken="s2"))
        changes = await google.changes("x", "primary", cursor="s1")
        assert [e.id for e in changes.events] == ["b"]
        assert changes.removed == {"a"}

    @pytest.mark.parametrize(
        ("status", "body", "gone"),
        [
            (200, event("series", status="cancelled"), True),
            (404, refusal(404, "notFound"), True),
            (410, refusal(410, "deleted"), True),
            (200, event("series"), False),
        ],
    )
    async def test_a_series_of_which_only_the_end_is_told_is_looked_up(
        self,
        google: GoogleCalendarProvider,
        platform: Scripted,
        status: int,
        body: Any,
        gone: bool,
    ) -> None:
        """Of a deleted series Google may tell some months' instances only."""
        alive = event("other_1", recurringEventId="other")
        platform.answer(
            200,
            page(
                cancelled("series_1", "series"),
                cancelled("series_2", "series"),
                cancelled("other_2", "other"),
                alive,
                nextSyncToken="s2",
            ),
        )
        platform.answer(status, body)
        changes = await google.changes("x", "primary", cursor="s1")
        assert changes.removed == {"series_1", "series_2", "other_2"}
        assert changes.complete_series == ({"series"} if gone else frozenset())
        assert [asked.path for asked in platform.asked[1:]] == [
            "/calendar/v3/calendars/primary/events/series"
        ]

    async def test_too_many_doubtful_series_are_listed_instead(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        items = [cancelled(f"{number}_1", str(number)) for number in range(21)]
        platform.answer(200, page(*items, nextSyncToken="s2"))
        with pytest.raises(CursorExpiredError):
            await google.changes("x", "primary", cursor="s1")
        assert len(platform.asked) == 1

    async def test_changes_without_a_token_are_nonsense(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(200, page(event("a")))
        with pytest.raises(UnreadableAnswerError):
            await google.changes("x", "primary", cursor="s1")


class TestAccount:
    """Whose calendars there are."""

    async def test_the_address_of_the_account(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(200, {"id": "1", "email": "me@example.com", "verified_email": True})
        assert await google.account_email("x") == "me@example.com"
        assert platform.asked[0].path == "/oauth2/v2/userinfo"

    @pytest.mark.parametrize("status", [200, 401, 403])
    async def test_without_its_scope_the_primary_calendar_tells(
        self, google: GoogleCalendarProvider, platform: Scripted, status: int
    ) -> None:
        platform.answer(status, {} if status == 200 else refusal(status, "insufficientPermissions"))
        platform.answer(200, {"id": "me@example.com", "summary": "Me", "primary": True})
        assert await google.account_email("x") == "me@example.com"
        assert platform.asked[1].path == "/calendar/v3/users/me/calendarList/primary"

    async def test_an_expired_token_is_told_all_the_same(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(401, refusal(401, "authError"))
        platform.answer(401, refusal(401, "authError"))
        with pytest.raises(TokenExpiredError):
            await google.account_email("x")

    async def test_calendars(self, google: GoogleCalendarProvider, platform: Scripted) -> None:
        me = {"id": "me@example.com", "summary": "me@example.com", "primary": True}
        team = {"id": "t@group.calendar.google.com", "summary": "Team", "timeZone": "Asia/Tokyo"}
        renamed = {"id": "r@group.calendar.google.com", "summary": "R", "summaryOverride": "Mine"}
        gone = {"id": "g@group.calendar.google.com", "deleted": True}
        platform.answer(200, {"items": [me, gone], "nextPageToken": "p2"})
        platform.answer(200, {"items": [{**team, "timeZone": "No/Zone"}, renamed, team]})
        found = await google.calendars("x")
        assert [(c.id, c.name, c.email, c.is_primary, c.time_zone) for c in found] == [
            ("me@example.com", "me@example.com", "me@example.com", True, None),
            (team["id"], "Team", team["id"], False, "Asia/Tokyo"),
            (renamed["id"], "Mine", renamed["id"], False, None),
        ]
        assert [asked.query for asked in platform.asked] == [
            {"maxResults": "250"},
            {"maxResults": "250", "pageToken": "p2"},
        ]

    async def test_an_alias_is_resolved(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(200, {"id": "me@example.com", "summary": "Me", "primary": True})
        assert (await google.calendar("x", "primary")).id == "me@example.com"


class TestPush:
    """Channels and what comes through them."""

    async def test_a_channel(self, google: GoogleCalendarProvider, platform: Scripted) -> None:
        expires = int((NOW + timedelta(days=6)).timestamp() * 1000)
        platform.answer(200, {"id": str(CHANNEL), "resourceId": "res", "expiration": str(expires)})
        subscription = await google.subscribe("x", "me@example.com", ORDER)
        assert subscription == Subscription(
            id=str(CHANNEL), resource_id="res", expires_at=NOW + timedelta(days=6)
        )
        (asked,) = platform.asked
        assert asked.path == "/calendar/v3/calendars/me%40example.com/events/watch"
        assert asked.json == {
            "id": str(CHANNEL),
            "type": "web_hook",
            "address": "https://sitin.example/push",
            "token": "s3cret",
            "expiration": int(ORDER.expires_at.timestamp() * 1000),
        }

    @pytest.mark.parametrize("told", [None, "9" * 30, -(10**30)])
    async def test_an_end_that_makes_no_sense_is_what_was_asked(
        self, google: GoogleCalendarProvider, platform: Scripted, told: Any
    ) -> None:
        platform.answer(200, {"id": "i", "resourceId": "res", "expiration": told})
        assert (await google.subscribe("x", "primary", ORDER)).expires_at == ORDER.expires_at

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (400, "pushNotSupportedForRequestedResource"),
            (400, "push.webhookUrlNotHttps"),
            (401, "push.webhookUrlUnauthorized"),
        ],
    )
    async def test_push_that_is_refused(
        self, google: GoogleCalendarProvider, platform: Scripted, status: int, reason: str
    ) -> None:
        platform.answer(status, refusal(status, reason))
        with pytest.raises(PushRefusedError):
            await google.subscribe("x", "primary", ORDER)

    async def test_a_channel_seen_before_wants_another_id(
        self, google: GoogleCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(400, refusal(400, "channelIdNotUnique"))
        with pytest.raises(RetriableError, match="another") as failed:
            await google.subscribe("x", "primary", ORDER)
        assert type(failed.value) is RetriableError

    async def test_an_order_is_not_given_twice(self, url: str, platform: Scripted) -> None:
        patient = GoogleCalendarProvider(token_url=url, api_url=url)
        platform.answer(503)
        with pytest.raises(RetriableError):
            await patient.subscribe("x", "primary", ORDER)
        assert len(platform.asked) == 1
        await patient.aclose()

    @pytest.mark.parametrize("status", [204, 404])
    async def test_stopping(
        self, google: GoogleCalendarProvider, platform: Scripted, status: int
    ) -> None:
        platform.answer(status, "" if status == 204 else refusal(404, "channelIdInvalid"))
        await google.unsubscribe("x", SUBSCRIPTION)
        (asked,) = platform.asked
        assert asked.path == "/calendar/v3/channels/stop"
        assert asked.json == {"id": str(CHANNEL), "resourceId": "res"}

    async def test_a_channel_is_replaced_not_renewed(self, google: GoogleCalendarProvider) -> None:
        assert not google.capabilities.renews_in_place
        with pytest.raises(SubscriptionGoneError):
            await google.renew("x", SUBSCRIPTION, expires_at=NOW)

    @pytest.mark.parametrize(
        ("state", "kind"),
        [
            ("sync", NoticeKind.BEGUN),
            ("exists", NoticeKind.CHANGED),
            ("not_exists", NoticeKind.CHANGED),
        ],
    )
    def test_notices(self, google: GoogleCalendarProvider, state: str, kind: NoticeKind) -> None:
        headers = {
            "x-goog-channel-id": str(CHANNEL),
            "x-goog-message-number": "1",
            "x-goog-resource-id": "res",
            "x-goog-resource-state": state,
            "x-goog-resource-uri": "https://www.googleapis.com/…",
            "x-goog-channel-token": "s3cret",
        }
        assert google.notices(headers, b"") == (
            Notice(channel_id=CHANNEL, secret="s3cret", kind=kind, resource_id="res"),
        )

    def test_what_is_not_of_ours_is_left_out(self, google: GoogleCalendarProvider) -> None:
        headers = {"x-goog-channel-id": "theirs", "x-goog-resource-state": "exists"}
        assert google.notices(headers, b"") == ()

    @pytest.mark.parametrize("headers", [{}, {"x-goog-channel-id": str(CHANNEL)}])
    def test_what_is_no_push_at_all(
        self, google: GoogleCalendarProvider, headers: dict[str, str]
    ) -> None:
        with pytest.raises(ValueError, match="not Google's"):
            google.notices(headers, b"{}")


@pytest.mark.parametrize("path", ["", "/", "/calendar/v3", "/calendar/v3/"])
async def test_the_address_may_name_the_version(url: str, platform: Scripted, path: str) -> None:
    provider = GoogleCalendarProvider(token_url=url, api_url=url + path, patience=0)
    platform.answer(200, {"items": []})
    await provider.calendars("x")
    assert platform.asked[0].path == "/calendar/v3/users/me/calendarList"
    await provider.aclose()


async def test_nothing_secret_is_logged(
    google: GoogleCalendarProvider, platform: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    platform.answer(200, {"access_token": "token-x", "refresh_token": "token-y"})
    await google.refresh(GRANT)
    platform.answer(200, {"access_token": ["token-x"]})
    with pytest.raises(UnreadableAnswerError) as failed:
        await google.refresh(GRANT)
    platform.answer(200, {"id": str(CHANNEL), "resourceId": "res"})
    await google.subscribe("token-x", "primary", ORDER)
    traces = "".join(traceback.format_exception(failed.value))
    assert caplog.text
    for secret in ("our-secret", "our-refresh-token", "token-x", "token-y", "s3cret"):
        assert secret not in caplog.text
        assert secret not in traces


def test_nothing_secret_is_shown() -> None:
    shown = repr((GRANT, ORDER, Notice(CHANNEL, "s3cret", NoticeKind.CHANGED)))
    assert "our-secret" not in shown
    assert "our-refresh-token" not in shown
    assert "s3cret" not in shown
