"""Microsoft's calendars over HTTP: what is asked, how answers and failures are read."""

import dataclasses
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sitin.contract.calendars import (
    AccessRefusedError,
    CalendarGoneError,
    ConnectionStatus,
    CursorExpiredError,
    LicenseRequiredError,
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
from sitin.providers.calendars.microsoft import MicrosoftCalendarProvider
from tests.providers.calendars.conftest import GRANT, NOW
from tests.providers.calendars.scripted import Scripted
from tests.providers.calendars.test_microsoft_events import MASTER, occurrence, told

pytestmark = pytest.mark.unit

CHANNEL = UUID("0197f6a0-0000-7000-8000-000000000001")
ORDER = SubscriptionOrder(
    channel_id=CHANNEL,
    address="https://sitin.example/push",
    secret="s3cret",
    expires_at=NOW + timedelta(days=2),
)
SUBSCRIPTION = Subscription(id="sub-1", resource_id=None, expires_at=NOW)
WINDOW = {"start": NOW, "end": NOW + timedelta(days=30)}
STRETCH = {"startDateTime": "2027-01-10T12:00:00.000Z", "endDateTime": "2027-02-16T12:00:00.000Z"}
DELTA = "/v1.0/me/calendars/cal=/calendarView/delta"


def refusal(status: int, code: str, inner: str | None = None) -> dict[str, Any]:
    nested = {"innerError": {"code": inner}} if inner else {}
    return {"error": {"code": code, "message": f"No ({status}).", **nested}}


def single(event_id: str = "a", day: int = 11, **fields: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": "singleInstance",
        "subject": event_id,
        "start": told(f"2027-01-{day}T09:00:00.0000000"),
        "end": told(f"2027-01-{day}T10:00:00.0000000"),
        **fields,
    }


def whole(number: int, **fields: Any) -> dict[str, Any]:
    """An occurrence as the list of instances gives it."""
    return occurrence(number, **{"subject": "Weekly", "originalStartTimeZone": "UTC", **fields})


def removed(item: str) -> dict[str, Any]:
    return {"id": item, "@removed": {"reason": "deleted"}}


class Pages:
    """Answers to listings, whose links lead to the platform's own address."""

    def __init__(self, platform: Scripted, url: str) -> None:
        self.platform = platform
        self.url = url

    def link(self, token: str) -> str:
        return f"{self.url}{DELTA}?$deltatoken={token}"

    def more(self, *items: dict[str, Any], token: str = "more") -> None:
        self.platform.answer(200, {"value": items, "@odata.nextLink": self.link(token)})

    def last(self, *items: dict[str, Any], token: str = "next") -> None:
        self.platform.answer(200, {"value": items, "@odata.deltaLink": self.link(token)})

    def list(self, *items: dict[str, Any]) -> None:
        self.platform.answer(200, {"value": items})

    def cursor(self, token: str = "first") -> str:
        stretch = {"start": "2027-01-10T12:00:00Z", "end": "2027-02-16T12:00:00Z"}
        return json.dumps({**stretch, "link": self.link(token)})


@pytest.fixture
def pages(platform: Scripted, url: str) -> Pages:
    return Pages(platform, url)


class TestRefresh:
    """The token endpoint."""

    async def test_what_is_asked_and_answered(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted
    ) -> None:
        scope = "https://graph.microsoft.com/Calendars.Read https://graph.microsoft.com/User.Read"
        answer = {"access_token": "eyJ.x", "expires_in": 3599, "scope": scope}
        platform.answer(200, {**answer, "refresh_token": "rotated"})
        access = await microsoft.refresh(GRANT)
        assert (access.text, access.refresh_token) == ("eyJ.x", "rotated")
        assert access.expires_at == NOW + timedelta(seconds=3599)
        (asked,) = platform.asked
        assert (asked.method, asked.path) == ("POST", "/common/oauth2/v2.0/token")
        assert asked.form == {
            "grant_type": "refresh_token",
            "client_id": "our-client",
            "client_secret": "our-secret",
            "refresh_token": "our-refresh-token",
            "scope": "offline_access https://graph.microsoft.com/.default",
        }

    async def test_a_national_cloud_has_a_resource_of_its_own(
        self, url: str, platform: Scripted
    ) -> None:
        provider = MicrosoftCalendarProvider(
            login_url=url, graph_url="https://graph.microsoft.us", patience=0
        )
        platform.answer(200, {"access_token": "x"})
        await provider.refresh(GRANT)
        assert platform.asked[0].form["scope"] == (
            "offline_access https://graph.microsoft.us/.default"
        )
        await provider.aclose()

    @pytest.mark.parametrize(
        "tenant",
        ["common", "contoso.onmicrosoft.com", "72f988bf-86f1-41af-91ab-2d7cd011db47"],
    )
    async def test_tenants(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, tenant: str
    ) -> None:
        platform.answer(200, {"access_token": "x", "scope": "Calendars.ReadWrite"})
        await microsoft.refresh(dataclasses.replace(GRANT, tenant_id=tenant))
        assert platform.asked[0].path == f"/{tenant}/oauth2/v2.0/token"

    @pytest.mark.parametrize(
        "tenant", ["", ".", "..", "a/b", "a?b", "a b", "a%2fb", "täter", "x" * 300, "a\n"]
    )
    async def test_what_is_no_tenant_is_not_asked(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, tenant: str
    ) -> None:
        with pytest.raises(AccessRefusedError, match="oauth_tenant_id") as refused:
            await microsoft.refresh(dataclasses.replace(GRANT, tenant_id=tenant))
        assert refused.value.status == ConnectionStatus.ERROR
        assert platform.asked == []

    @pytest.mark.parametrize("scope", ["", "User.Read", "Calendars.ReadBasic", "Mail.Read"])
    async def test_a_token_without_calendars_is_a_missing_permission(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, scope: str
    ) -> None:
        platform.answer(200, {"access_token": "x", "scope": scope})
        with pytest.raises(AccessRefusedError, match=r"Calendars\.Read") as refused:
            await microsoft.refresh(GRANT)
        assert refused.value.status == ConnectionStatus.PERMISSION_DENIED

    @pytest.mark.parametrize(
        ("status", "body", "connection"),
        [
            (400, {"error": "invalid_grant", "error_codes": [70008]}, ConnectionStatus.REVOKED),
            (400, {"error": "invalid_grant", "error_codes": [50173]}, ConnectionStatus.REVOKED),
            (400, {"error": "invalid_grant", "error_codes": [50076]}, ConnectionStatus.REVOKED),
            (
                400,
                {"error": "invalid_grant", "suberror": "consent_required"},
                ConnectionStatus.PERMISSION_DENIED,
            ),
            (
                400,
                {"error": "invalid_grant", "error_codes": [65001]},
                ConnectionStatus.PERMISSION_DENIED,
            ),
            (400, {"error": "consent_required"}, ConnectionStatus.PERMISSION_DENIED),
            (
                400,
                {"error": "interaction_required", "error_codes": [50079]},
                ConnectionStatus.REVOKED,
            ),
            (
                400,
                {"error": "interaction_required", "error_codes": [53003]},
                ConnectionStatus.REVOKED,
            ),
            (401, {"error": "invalid_client", "error_codes": [7000222]}, ConnectionStatus.ERROR),
            (
                400,
                {"error": "unauthorized_client", "error_codes": [700016]},
                ConnectionStatus.ERROR,
            ),
            (400, {"error": "invalid_request", "error_codes": [90002]}, ConnectionStatus.ERROR),
        ],
    )
    async def test_refusals(
        self,
        microsoft: MicrosoftCalendarProvider,
        platform: Scripted,
        status: int,
        body: dict[str, Any],
        connection: ConnectionStatus,
    ) -> None:
        platform.answer(status, {**body, "error_description": "our-refresh-token is bad"})
        with pytest.raises(AccessRefusedError) as refused:
            await microsoft.refresh(GRANT)
        assert (refused.value.status, refused.value.by) == (connection, "customer")
        assert "our-" not in repr(refused.value)

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, "temporarily_unavailable"),
            (503, "temporarily_unavailable"),
            (500, "x"),
            (429, "x"),
        ],
    )
    async def test_what_passes_is_retriable(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, status: int, error: str
    ) -> None:
        platform.answer(status, {"error": error, "error_codes": [90033]}, retry_after="7")
        with pytest.raises(RetriableError) as failed:
            await microsoft.refresh(GRANT)
        assert (type(failed.value), failed.value.after) == (RetriableError, 7)

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (200, "<html>"),
            (200, {"access_token": "a\nb"}),
            (400, "<html>"),
            (400, {"error": "new"}),
        ],
    )
    async def test_nonsense(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, status: int, body: Any
    ) -> None:
        platform.answer(status, body)
        with pytest.raises(UnreadableAnswerError):
            await microsoft.refresh(GRANT)


class TestFailures:
    """Refusals of Graph, told apart by their codes."""

    @pytest.mark.parametrize(
        ("status", "body", "kind", "connection"),
        [
            (401, refusal(401, "InvalidAuthenticationToken"), TokenExpiredError, None),
            (401, "", TokenExpiredError, None),
            (
                403,
                refusal(403, "ErrorAccessDenied"),
                AccessRefusedError,
                ConnectionStatus.PERMISSION_DENIED,
            ),
            (403, "<html>", UnreadableAnswerError, None),
            (
                404,
                refusal(404, "MailboxNotEnabledForRESTAPI"),
                LicenseRequiredError,
                ConnectionStatus.PERMISSION_DENIED,
            ),
            (
                404,
                refusal(404, "ResourceNotFound", "mailboxNotSupportedForRestApi"),
                LicenseRequiredError,
                ConnectionStatus.PERMISSION_DENIED,
            ),
            (
                403,
                {
                    "error": {
                        "code": "Forbidden",
                        "innererror": {
                            "code": "Unknown",
                            "innererror": {"code": "MAILBOXNOTENABLEDFORRESTAPI"},
                        },
                    }
                },
                LicenseRequiredError,
                ConnectionStatus.PERMISSION_DENIED,
            ),
            (404, refusal(404, "ErrorItemNotFound"), CalendarGoneError, ConnectionStatus.ERROR),
            (
                400,
                refusal(400, "ErrorInvalidIdMalformed"),
                CalendarGoneError,
                ConnectionStatus.ERROR,
            ),
            (404, "<html>", UnreadableAnswerError, None),
            (400, refusal(400, "BadRequest"), UnreadableAnswerError, None),
            (410, refusal(410, "SyncStateNotFound"), RetriableError, None),
            (429, refusal(429, "TooManyRequests"), RetriableError, None),
            (504, "", RetriableError, None),
        ],
    )
    async def test_listing(
        self,
        microsoft: MicrosoftCalendarProvider,
        platform: Scripted,
        status: int,
        body: Any,
        kind: type[AdapterError],
        connection: ConnectionStatus | None,
    ) -> None:
        platform.answer(status, body)
        with pytest.raises(kind) as failed:
            await microsoft.window("token-x", "cal=", **WINDOW)
        if kind is RetriableError:
            assert type(failed.value) is RetriableError
        assert getattr(failed.value, "status", None) == connection
        assert "token-x" not in failed.value.message

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (410, refusal(410, "SyncStateNotFound")),
            (410, refusal(410, "syncStateNotFound")),
            (410, refusal(410, "resyncRequired")),
            (410, ""),
            (400, refusal(400, "ResyncRequired")),
            (404, refusal(404, "SYNCSTATENOTFOUND")),
        ],
    )
    async def test_a_cursor_that_is_not_known_any_more(
        self,
        microsoft: MicrosoftCalendarProvider,
        platform: Scripted,
        pages: Pages,
        status: int,
        body: Any,
    ) -> None:
        pages.more(single())
        platform.answer(
            status,
            body,
            location=f"{pages.url}{DELTA}?startDateTime=…".encode("ascii", "ignore").decode(),
        )
        with pytest.raises(CursorExpiredError):
            await microsoft.changes("x", "cal=", cursor=pages.cursor())

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "{}",
            "no json",
            '{"start": "2027-01-01T00:00:00Z", "end": "2027-02-01T00:00:00Z", "link": "https://elsewhere.example/v1.0/me"}',
        ],
    )
    async def test_a_cursor_that_is_not_ours(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, cursor: str
    ) -> None:
        with pytest.raises(CursorExpiredError):
            await microsoft.changes("x", "cal=", cursor=cursor)
        assert platform.asked == []


class TestWindow:
    """Listing by a first round of delta."""

    async def test_what_is_asked(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, pages: Pages
    ) -> None:
        pages.more(token="a%2Bb")
        pages.last(single("a"), single("late", start=told("2027-02-12T09:00:00")))
        listing = await microsoft.window("token-x", "cal=", **WINDOW)
        assert [e.id for e in listing.events] == ["a"]
        assert listing.covers_until == NOW + timedelta(days=37)
        first, second = platform.asked
        assert (first.path, first.query) == (DELTA, STRETCH)
        assert second.query == {"$deltatoken": "a+b"}
        for asked in (first, second):
            assert asked.headers["authorization"] == "Bearer token-x"
            assert asked.headers["prefer"] == 'IdType="ImmutableId", odata.maxpagesize=200'

    async def test_bare_occurrences_are_filled(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, pages: Pages
    ) -> None:
        pages.more(occurrence(11))
        pages.last(MASTER, occurrence(18), occurrence(12, seriesMasterId="other", id="other-12"))
        platform.answer(200, {**MASTER, "id": "other", "subject": "Other"})
        listing = await microsoft.window("x", "cal=", **WINDOW)
        assert {e.id: e.title for e in listing.events} == {
            "occurrence-11": "Weekly",
            "occurrence-18": "Weekly",
            "other-12": "Other",
        }
        assert platform.asked[2].path == "/v1.0/me/events/other"
        assert platform.asked[2].headers["prefer"] == 'IdType="ImmutableId"'

    async def test_occurrences_of_a_series_that_is_gone_are_dropped(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, pages: Pages
    ) -> None:
        pages.last(occurrence(11), single("a"))
        platform.answer(404, refusal(404, "ErrorItemNotFound"))
        listing = await microsoft.window("x", "cal=", **WINDOW)
        assert [e.id for e in listing.events] == ["a"]

    @pytest.mark.parametrize(
        "link",
        [
            "https://elsewhere.example/v1.0/me",
            "//elsewhere.example/v1.0/me",
            "/v1.0/me",
            "http://127.0.0.1:1/v1.0/me",
            "{url}/other",
            "http://x@{host}/v1.0/me",
            "{url}.elsewhere.example/v1.0/me",
            "no link",
            "http://[::1/v1.0/",
        ],
    )
    @pytest.mark.parametrize("name", ["@odata.nextLink", "@odata.deltaLink"])
    async def test_the_token_goes_nowhere_else(
        self,
        microsoft: MicrosoftCalendarProvider,
        platform: Scripted,
        url: str,
        link: str,
        name: str,
    ) -> None:
        leading = link.replace("{url}", url).replace("{host}", url.removeprefix("http://"))
        platform.answer(200, {"value": [], name: leading})
        with pytest.raises(UnreadableAnswerError):
            await microsoft.window("x", "cal=", **WINDOW)
        assert len(platform.asked) == 1

    @pytest.mark.parametrize(
        "body",
        ["<html>", "[]", {}, {"value": 7}, {"value": []}, {"value": [{"id": ""}]}],
    )
    async def test_nonsense(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, body: Any
    ) -> None:
        platform.answer(200, body)
        with pytest.raises(UnreadableAnswerError):
            await microsoft.window("x", "cal=", **WINDOW)

    async def test_an_event_at_no_time_is_nonsense(
        self, microsoft: MicrosoftCalendarProvider, pages: Pages
    ) -> None:
        pages.last(single(start=None))
        with pytest.raises(UnreadableAnswerError, match="no time"):
            await microsoft.window("x", "cal=", **WINDOW)

    async def test_a_list_without_an_end(
        self,
        microsoft: MicrosoftCalendarProvider,
        pages: Pages,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("sitin.providers.calendars.microsoft.graph.MOST_PAGES", 3)
        for _ in range(4):
            pages.more()
        with pytest.raises(UnreadableAnswerError, match="no end"):
            await microsoft.window("x", "cal=", **WINDOW)
        assert len(pages.platform.asked) == 3

    async def test_a_stretch_is_viewed(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, pages: Pages
    ) -> None:
        link = f"{pages.url}/v1.0/me/calendars/cal=/calendarView?$skip=200"
        platform.answer(200, {"value": [whole(11)], "@odata.nextLink": link})
        pages.list(single("b"), whole(11, subject="New"))
        events = await microsoft.between("x", "cal=", **WINDOW)
        assert {e.id: e.title for e in events} == {"occurrence-11": "New", "b": "b"}
        first, second = platform.asked
        assert first.path == "/v1.0/me/calendars/cal=/calendarView"
        assert first.query == {
            "startDateTime": "2027-01-10T12:00:00.000Z",
            "endDateTime": "2027-02-09T12:00:00.000Z",
            "$top": "200",
        }
        assert second.query == {"$skip": "200"}


def glanced(item: dict[str, Any]) -> dict[str, Any]:
    """As a view gives it that is asked for little."""
    return {name: item[name] for name in ("id", "type", "seriesMasterId") if name in item}


class TestChanges:
    """Later rounds."""

    async def test_what_is_asked_and_told(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, pages: Pages
    ) -> None:
        pages.last(single("a"), token="t2")
        changes = await microsoft.changes("x", "cal=", cursor=pages.cursor("t1"))
        assert [e.id for e in changes.events] == ["a"]
        assert changes.removed == changes.complete_series == frozenset()
        assert [asked.query for asked in platform.asked] == [{"$deltatoken": "t1"}]

        pages.last()
        await microsoft.changes("x", "cal=", cursor=changes.cursor)
        assert platform.asked[-1].query == {"$deltatoken": "t2"}

    async def test_a_round_that_brings_all_of_a_series(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, pages: Pages
    ) -> None:
        """A deleted occurrence leaves no mark, and a moved series leaves its old ones behind."""
        exception = occurrence(18, type="exception", subject="Once")
        pages.last(MASTER, occurrence(11), exception)
        pages.list(*map(glanced, (occurrence(11), exception, single("other"))))
        changes = await microsoft.changes("x", "cal=", cursor=pages.cursor())
        assert {e.id: (e.title, e.is_exception) for e in changes.events} == {
            "occurrence-11": ("Weekly", False),
            "occurrence-18": ("Once", True),
        }
        assert changes.complete_series == {"master"}
        assert changes.removed == frozenset()
        glance = platform.asked[1]
        assert glance.path == "/v1.0/me/calendars/cal=/calendarView"
        assert glance.query == {**STRETCH, "$select": "id,type,seriesMasterId", "$top": "1000"}
        assert len(platform.asked) == 2

    @pytest.mark.parametrize("item", [MASTER, occurrence(11, type="exception", subject="Once")])
    async def test_a_round_that_leaves_some_out_is_completed(
        self,
        microsoft: MicrosoftCalendarProvider,
        platform: Scripted,
        pages: Pages,
        item: dict[str, Any],
    ) -> None:
        pages.last(item)
        pages.list(*map(glanced, (occurrence(18), occurrence(25))))
        platform.answer(200, whole(18))
        platform.answer(404, refusal(404, "ErrorItemNotFound"))
        changes = await microsoft.changes("x", "cal=", cursor=pages.cursor())
        brought = {"occurrence-11"} if item is not MASTER else set()
        assert {e.id for e in changes.events} == {"occurrence-18", *brought}
        assert changes.complete_series == {"master"}
        assert [asked.path for asked in platform.asked[2:]] == [
            "/v1.0/me/events/occurrence-18",
            "/v1.0/me/events/occurrence-25",
        ]

    async def test_what_a_round_brings_is_there_even_if_the_view_is_behind(
        self, microsoft: MicrosoftCalendarProvider, pages: Pages
    ) -> None:
        pages.last(MASTER, occurrence(11))
        pages.list()
        changes = await microsoft.changes("x", "cal=", cursor=pages.cursor())
        assert [e.id for e in changes.events] == ["occurrence-11"]

    async def test_a_series_that_is_gone_meanwhile_has_no_occurrences(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, pages: Pages
    ) -> None:
        pages.last(occurrence(11))
        pages.list()
        platform.answer(404, refusal(404, "ErrorItemNotFound"))
        changes = await microsoft.changes("x", "cal=", cursor=pages.cursor())
        assert changes.events == ()
        assert changes.complete_series == {"master"}

    async def test_what_is_removed_may_be_a_series(
        self, microsoft: MicrosoftCalendarProvider, pages: Pages
    ) -> None:
        pages.last(removed("master"))
        pages.list(glanced(single("other")))
        changes = await microsoft.changes("x", "cal=", cursor=pages.cursor())
        assert changes.events == ()
        assert changes.removed == changes.complete_series == {"master"}

    async def test_a_series_that_is_removed_and_still_there_is_listed_anew(
        self, microsoft: MicrosoftCalendarProvider, pages: Pages
    ) -> None:
        pages.last(removed("master"))
        pages.list(glanced(occurrence(11)))
        with pytest.raises(CursorExpiredError):
            await microsoft.changes("x", "cal=", cursor=pages.cursor())

    async def test_what_is_told_as_removed_is_not_fetched(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, pages: Pages
    ) -> None:
        pages.last(MASTER, removed("occurrence-11"))
        pages.list(glanced(occurrence(11)))
        changes = await microsoft.changes("x", "cal=", cursor=pages.cursor())
        assert changes.events == ()
        assert changes.removed == {"occurrence-11"}
        assert len(platform.asked) == 2

    async def test_too_much_that_was_left_out_is_listed_instead(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, pages: Pages
    ) -> None:
        pages.last(MASTER)
        pages.list(*(glanced(occurrence(number)) for number in range(1, 22)))
        with pytest.raises(CursorExpiredError):
            await microsoft.changes("x", "cal=", cursor=pages.cursor())
        assert len(platform.asked) == 2

    async def test_a_round_without_a_link_to_the_next(
        self, microsoft: MicrosoftCalendarProvider, pages: Pages
    ) -> None:
        pages.list(single())
        with pytest.raises(UnreadableAnswerError):
            await microsoft.changes("x", "cal=", cursor=pages.cursor())


class TestAccount:
    """Whose calendars there are."""

    @pytest.mark.parametrize(
        "user",
        [
            {"mail": "me@example.com", "userPrincipalName": "me@contoso.onmicrosoft.com"},
            {"mail": None, "userPrincipalName": "me@example.com"},
        ],
    )
    async def test_the_address_of_the_account(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, user: dict[str, str]
    ) -> None:
        platform.answer(200, user)
        assert await microsoft.account_email("x") == "me@example.com"
        assert platform.asked[0].path == "/v1.0/me"

    async def test_without_the_permission_the_default_calendar_tells(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(403, refusal(403, "Authorization_RequestDenied"))
        platform.answer(200, {"id": "cal=", "owner": {"address": "me@example.com"}})
        assert await microsoft.account_email("x") == "me@example.com"
        assert platform.asked[1].path == "/v1.0/me/calendar"

    async def test_calendars(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, url: str
    ) -> None:
        owner = {"name": "Me", "address": "me@example.com"}
        default = {"id": "a=", "name": "Calendar", "isDefaultCalendar": True, "owner": owner}
        link = f"{url}/v1.0/me/calendars?$skip=1"
        platform.answer(200, {"value": [default], "@odata.nextLink": link})
        platform.answer(200, {"value": [{"id": "b=", "name": None, "owner": None}]})
        platform.answer(200, {"mail": "me@example.com"})
        found = await microsoft.calendars("x")
        assert [(c.id, c.name, c.email, c.is_primary) for c in found] == [
            ("a=", "Calendar", "me@example.com", True),
            ("b=", "me@example.com", "me@example.com", False),
        ]

    @pytest.mark.parametrize(
        ("alias", "path"),
        [
            ("primary", "/v1.0/me/calendar"),
            ("Default", "/v1.0/me/calendar"),
            ("A+b/c=", "/v1.0/me/calendars/A%2Bb%2Fc="),
        ],
    )
    async def test_aliases(
        self,
        microsoft: MicrosoftCalendarProvider,
        platform: Scripted,
        alias: str,
        path: str,
    ) -> None:
        platform.answer(200, {"id": "a=", "owner": {"address": "me@example.com"}})
        assert (await microsoft.calendar("x", alias)).id == "a="
        assert platform.asked[0].path == path


class TestPush:
    """Subscriptions and what comes through them."""

    async def test_a_subscription(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted
    ) -> None:
        ends = "2027-01-11T12:00:00.1234567Z"
        platform.answer(201, {"id": "sub-1", "expirationDateTime": ends})
        subscription = await microsoft.subscribe("x", "cal=", ORDER)
        assert subscription.id == "sub-1"
        assert subscription.expires_at == NOW + timedelta(days=1, microseconds=123456)
        (asked,) = platform.asked
        assert (asked.method, asked.path) == ("POST", "/v1.0/subscriptions")
        assert asked.headers["prefer"] == 'IdType="ImmutableId"'
        assert asked.json == {
            "changeType": "created,updated,deleted",
            "resource": "/me/calendars/cal=/events",
            "notificationUrl": ORDER.address,
            "lifecycleNotificationUrl": ORDER.address,
            "expirationDateTime": "2027-01-12T12:00:00.000Z",
            "clientState": f"{CHANNEL}.s3cret",
        }

    async def test_no_more_than_microsoft_allows_is_asked(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted
    ) -> None:
        platform.answer(201, {"id": "sub-1"})
        order = dataclasses.replace(ORDER, expires_at=NOW + timedelta(days=30))
        subscription = await microsoft.subscribe("x", "cal=", order)
        assert subscription.expires_at == NOW + timedelta(minutes=4230)
        assert platform.asked[0].json["expirationDateTime"] == "2027-01-13T10:30:00.000Z"

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, refusal(400, "ValidationError"), PushRefusedError),
            (400, refusal(400, "InvalidRequest"), PushRefusedError),
            (403, refusal(403, "ExtensionError"), PushRefusedError),
            (409, refusal(409, "Conflict"), PushRefusedError),
            (400, "<html>", PushRefusedError),
            (403, "<html>", UnreadableAnswerError),
            (410, refusal(410, "Gone"), CalendarGoneError),
            (400, refusal(400, "ErrorInvalidIdMalformed"), CalendarGoneError),
            (403, refusal(403, "ErrorAccessDenied"), AccessRefusedError),
            (404, refusal(404, "MailboxNotEnabledForRESTAPI"), LicenseRequiredError),
            (404, refusal(404, "ErrorItemNotFound"), CalendarGoneError),
            (401, "", TokenExpiredError),
            (503, "", RetriableError),
        ],
    )
    async def test_push_that_is_refused(
        self,
        microsoft: MicrosoftCalendarProvider,
        platform: Scripted,
        status: int,
        body: Any,
        kind: type[Exception],
    ) -> None:
        platform.answer(status, body)
        with pytest.raises(kind) as failed:
            await microsoft.subscribe("x", "cal=", ORDER)
        assert type(failed.value) is kind or kind is CalendarGoneError
        assert len(platform.asked) == 1

    async def test_renewal(self, microsoft: MicrosoftCalendarProvider, platform: Scripted) -> None:
        platform.answer(200, {"id": "sub-1", "expirationDateTime": "2027-01-12T00:00:00Z"})
        renewed = await microsoft.renew("x", SUBSCRIPTION, expires_at=ORDER.expires_at)
        assert renewed.expires_at.isoformat() == "2027-01-12T00:00:00+00:00"
        (asked,) = platform.asked
        assert (asked.method, asked.path) == ("PATCH", "/v1.0/subscriptions/sub-1")
        assert asked.json == {"expirationDateTime": "2027-01-12T12:00:00.000Z"}

        platform.answer(404, refusal(404, "ResourceNotFound"))
        with pytest.raises(SubscriptionGoneError):
            await microsoft.renew("x", SUBSCRIPTION, expires_at=ORDER.expires_at)

    @pytest.mark.parametrize("status", [204, 404])
    async def test_stopping(
        self, microsoft: MicrosoftCalendarProvider, platform: Scripted, status: int
    ) -> None:
        platform.answer(status, "" if status == 204 else refusal(404, "ResourceNotFound"))
        await microsoft.unsubscribe("x", SUBSCRIPTION)
        (asked,) = platform.asked
        assert (asked.method, asked.path) == ("DELETE", "/v1.0/subscriptions/sub-1")

    def test_a_batch(self, microsoft: MicrosoftCalendarProvider) -> None:
        def item(**fields: Any) -> dict[str, Any]:
            return {"subscriptionId": "s", "clientState": f"{CHANNEL}.s3cret", **fields}

        batch = [
            item(changeType="updated", resourceData={"id": "AAMk="}),
            "nonsense",
            item(clientState=None),
            item(clientState="theirs"),
            item(clientState="x" * 5000),
            item(lifecycleEvent="missed"),
            item(lifecycleEvent="subscriptionRemoved"),
            item(lifecycleEvent="reauthorizationRequired"),
            item(lifecycleEvent="somethingNew"),
        ]
        notices = microsoft.notices({}, json.dumps({"value": batch}).encode())
        assert notices == tuple(
            Notice(channel_id=CHANNEL, secret="s3cret", kind=kind)
            for kind in (
                NoticeKind.CHANGED,
                NoticeKind.MISSED,
                NoticeKind.REMOVED,
                NoticeKind.RENEWAL_WANTED,
                NoticeKind.MISSED,
            )
        )

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"value": 1}', b"\xff", b"[" * 9999])
    def test_what_is_no_batch_at_all(
        self, microsoft: MicrosoftCalendarProvider, body: bytes
    ) -> None:
        with pytest.raises(ValueError, match="not Microsoft's"):
            microsoft.notices({}, body)


@pytest.mark.parametrize("path", ["", "/", "/v1.0", "/v1.0/"])
async def test_the_address_may_name_the_version(url: str, platform: Scripted, path: str) -> None:
    provider = MicrosoftCalendarProvider(login_url=url, graph_url=url + path, patience=0)
    platform.answer(200, {"value": []})
    await provider.calendars("x")
    assert platform.asked[0].path == "/v1.0/me/calendars"
    await provider.aclose()
