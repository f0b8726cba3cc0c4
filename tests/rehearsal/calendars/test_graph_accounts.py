"""Microsoft's tokens, profile, calendars and limits."""

import asyncio
from typing import Any

import httpx
import pytest

from sitin.rehearsal.calendars import Account, CalendarRehearsal
from sitin.rehearsal.calendars.microsoft import oauth
from tests.rehearsal.calendars.asking import WINDOW, GraphClient, code

READ = f"offline_access {oauth.CALENDARS_READ}"


def error(answer: httpx.Response) -> tuple[int, Any, Any, Any]:
    body = answer.json()
    assert body["error_description"].startswith(f"AADSTS{body['error_codes'][0]}: ")
    assert {"trace_id", "correlation_id"} <= set(body)
    return answer.status_code, body["error"], body["error_codes"][0], body.get("suberror")


async def test_a_refresh_brings_another_refresh_token(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient
) -> None:
    old = mia.refresh_token
    body = (await graph.token(scope=READ)).json()
    assert set(body) == {
        *("token_type", "scope", "expires_in", "ext_expires_in", "access_token", "refresh_token")
    }
    assert body["scope"] == oauth.CALENDARS_READ
    assert body["refresh_token"] == mia.refresh_token != old
    assert (await graph.token(refresh_token=old)).status_code == 200
    cal.microsoft.old_refresh_tokens_die = True
    newest = (await graph.token()).json()["refresh_token"]
    for dead in (old, body["refresh_token"]):
        assert error(await graph.token(refresh_token=dead))[:3] == (400, "invalid_grant", 70000)
    assert (await graph.token(refresh_token=newest)).status_code == 200


async def test_without_offline_access_there_is_no_refresh_token(graph: GraphClient) -> None:
    assert "refresh_token" not in (await graph.token(scope="Calendars.Read")).json()
    assert "refresh_token" in (await graph.token(scope=f"{oauth.RESOURCE}.default")).json()


async def test_which_tenants_there_are(cal: CalendarRehearsal, graph: GraphClient) -> None:
    for tenant in ("common", "organizations", "consumers", cal.microsoft.tenant_id, "contoso.com"):
        assert (await graph.token(tenant)).status_code == 200
    answer = await graph.token("fabrikam.com")
    assert error(answer) == (400, "invalid_request", 90002, None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003, None)),
        ({"grant_type": ""}, (400, "invalid_request", 900144, None)),
        ({"client_id": ""}, (400, "invalid_request", 900144, None)),
        ({"client_id": "somebody"}, (400, "unauthorized_client", 700016, None)),
        ({"client_secret": "wrong"}, (401, "invalid_client", 7000215, None)),
        ({"refresh_token": ""}, (400, "invalid_request", 900144, None)),
        ({"refresh_token": "made-up"}, (400, "invalid_grant", 70000, None)),
        ({"scope": "Mail.Read"}, (400, "invalid_grant", 65001, "consent_required")),
    ],
)
async def test_a_refresh_that_is_wrong_is_refused(
    graph: GraphClient, changes: dict[str, str], says: tuple[int, str, int, str | None]
) -> None:
    assert error(await graph.token(**changes)) == says


@pytest.mark.parametrize("reason", sorted(oauth.ENDS))
async def test_a_grant_that_has_ended_says_why(
    mia: Account, graph: GraphClient, reason: str
) -> None:
    mia.revoke(reason)
    status, name, number, _, suberror = oauth.ENDS[reason]
    assert error(await graph.token()) == (status, name, number, suberror)
    refused = await graph.ask("GET", "/me/calendars")
    assert code(refused) == (401, "InvalidAuthenticationToken")
    mia.grant.renew()
    await graph.refresh()
    await graph.get("/me/calendars")


async def test_access_tokens_may_outlive_their_grant(mia: Account, graph: GraphClient) -> None:
    mia.revoke(access_lives_on=True)
    await graph.get("/me/calendars")
    assert (await graph.token()).status_code == 400


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({oauth.USER_READ}, {"profile"}),
        ({oauth.CALENDARS_READ}, {"read"}),
        ({oauth.CALENDARS_READ_WRITE}, {"read", "write"}),
    ],
)
async def test_what_a_scope_allows(
    mia: Account, graph: GraphClient, scopes: set[str], allowed: set[str]
) -> None:
    mia.grant.scopes = scopes
    asked = {
        "profile": await graph.ask("GET", "/me"),
        "read": await graph.ask("GET", "/me/calendarView", query=WINDOW),
        "write": await graph.ask("POST", "/me/events", json={}),
    }
    refused = {name for name, answer in asked.items() if answer.status_code == 403}
    assert refused == set(asked) - allowed
    assert {code(asked[name]) for name in refused} == {(403, "ErrorAccessDenied")}


async def test_the_profile_may_have_no_mail(mia: Account, graph: GraphClient) -> None:
    mia.mail = None
    profile = await graph.get("/me")
    assert (profile["mail"], profile["userPrincipalName"]) == (None, "mia@contoso.com")


async def test_calendars_in_pages(cal: CalendarRehearsal, mia: Account, graph: GraphClient) -> None:
    team = mia.calendar("Team")
    gone = mia.calendar("Gone")
    mia.delete_calendar(gone)
    top: dict[str, Any] = {"$top": 1}
    pages = await graph.pages("/me/calendars", **top)
    found = [item for page in pages for item in page["value"]]
    assert [(item["name"], item["isDefaultCalendar"]) for item in found] == [
        ("Calendar", True),
        ("Team", False),
    ]
    assert found[0]["owner"] == {"name": "Mia Sanz", "address": "mia@contoso.com"}
    assert (await graph.get(f"/me/calendars/{team.id}"))["id"] == team.id
    assert (await graph.get("/me/calendar"))["id"] == mia.primary.id
    for unknown in ("primary", gone.id):
        refused = await graph.ask("GET", f"/me/calendars/{unknown}")
        assert code(refused) == (404, "ErrorItemNotFound")


async def test_an_account_without_a_mailbox(mia: Account, graph: GraphClient) -> None:
    mia.licensed = False
    await graph.get("/me")
    for path in ("/me/calendars", f"/me/calendars/{mia.primary.id}", "/me/calendarView/delta"):
        refused = await graph.ask("GET", path, query=WINDOW)
        assert code(refused) == (404, "MailboxNotEnabledForRESTAPI")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("throttled", (429, "TooManyRequests")),
        ("service_unavailable", (503, "ServiceUnavailable")),
        ("gateway_timeout", (504, "GatewayTimeout")),
        ("internal_error", (500, "InternalServerError")),
        ("access_denied", (403, "ErrorAccessDenied")),
        ("unauthorised", (401, "InvalidAuthenticationToken")),
        ("not_found", (404, "ErrorItemNotFound")),
        ("gone", (410, "SyncStateNotFound")),
        ("gone_lower_case", (410, "syncStateNotFound")),
        ("mailbox_not_supported", (404, "MailboxNotSupportedForRESTAPI")),
        ("mailbox_nested", (404, "NotFound")),
        ("mailbox_forbidden", (403, "MailboxNotEnabledForRESTAPI")),
    ],
)
async def test_errors_as_microsoft_words_them(
    cal: CalendarRehearsal, graph: GraphClient, what: str, says: tuple[int, str]
) -> None:
    cal.microsoft.fault(what, "delta", retry_after=7)
    answer = await graph.ask("GET", "/me/calendarView/delta", query=WINDOW)
    assert code(answer) == says
    if answer.status_code in (429, 503, 504):
        assert answer.headers["retry-after"] == "7"
    if what == "mailbox_nested":
        assert answer.json()["error"]["innerError"]["code"] == "mailboxNotEnabledForRestApi"


async def test_the_token_endpoint_fails_in_its_own_words(
    cal: CalendarRehearsal, graph: GraphClient
) -> None:
    cal.microsoft.fault("service_unavailable", "token", retry_after=3)
    answer = await graph.token()
    assert error(answer)[:3] == (503, "temporarily_unavailable", 90033)
    assert answer.headers["retry-after"] == "3"


async def test_a_mailbox_takes_four_requests_at_a_time(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient
) -> None:
    ben = cal.microsoft.account("ben@contoso.com")
    gate = cal.microsoft.hold("calendarView", account=mia)
    waiting = [
        asyncio.create_task(graph.ask("GET", "/me/calendarView", query=WINDOW)) for _ in range(4)
    ]
    async with asyncio.timeout(30):
        await gate.reached(4)
    refused = await graph.ask("GET", "/me/calendars")
    assert code(refused) == (429, "ApplicationThrottled")
    assert refused.headers["retry-after"] == "1"
    await graph.get("/me")
    await graph.refresh()
    async with GraphClient(cal.microsoft, ben) as other:
        await other.get("/me/calendars")
    gate.open()
    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * 4
    await graph.get("/me/calendars")
