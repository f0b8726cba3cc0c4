"""What can be made to go wrong, shown on Google's side; the way is the same for both."""

import asyncio
from typing import Any

import httpx
import pytest

from sitin.kit.tls import trusted
from sitin.rehearsal.calendars import Account, CalendarControlError, CalendarRehearsal
from tests.rehearsal.calendars.asking import GoogleClient, reasons

EVENTS = "/calendars/primary/events"


async def statuses(client: GoogleClient, times: int, path: str = EVENTS) -> list[int]:
    return [(await client.ask("GET", path)).status_code for _ in range(times)]


@pytest.mark.parametrize(
    ("what", "status", "reason"),
    [
        ("rate_limited", 403, "rateLimitExceeded"),
        ("rate_limited_429", 429, "rateLimitExceeded"),
        ("user_rate_limited", 403, "userRateLimitExceeded"),
        ("quota_exceeded", 403, "quotaExceeded"),
        ("internal_error", 500, "internalError"),
        ("backend_error", 503, "backendError"),
        ("forbidden", 403, "forbidden"),
        ("scope_missing", 403, "insufficientPermissions"),
        ("unauthorised", 401, "authError"),
        ("not_found", 404, "notFound"),
        ("gone", 410, "fullSyncRequired"),
        ("push_refused", 400, "pushNotSupportedForRequestedResource"),
    ],
)
async def test_errors_as_google_words_them(
    cal: CalendarRehearsal, google: GoogleClient, what: str, status: int, reason: str
) -> None:
    cal.google.fault(what, "events.list", retry_after=7)
    answer = await google.ask("GET", EVENTS)
    assert reasons(answer) == (status, reason)
    if what in ("rate_limited", "rate_limited_429", "backend_error"):
        assert answer.headers["retry-after"] == "7"
    assert await statuses(google, 1) == [200]


@pytest.mark.parametrize("what", ["html", "cut_off", "no_object", "wrong_types", "empty"])
async def test_answers_that_make_no_sense(
    cal: CalendarRehearsal, google: GoogleClient, what: str
) -> None:
    cal.google.fault(what, "events.list")
    answer = await google.ask("GET", EVENTS)
    assert answer.status_code == 200
    try:
        body = answer.json()
    except ValueError:
        return
    assert not isinstance(body, dict) or not isinstance(body.get("items"), list)


async def test_which_request_it_befalls(cal: CalendarRehearsal, google: GoogleClient) -> None:
    cal.google.fault("backend_error", "events.list", skip=2, times=2)
    assert await statuses(google, 6) == [200, 200, 503, 503, 200, 200]
    cal.google.fault("backend_error", "events.*")
    assert await statuses(google, 1, "/users/me/calendarList") == [200]
    assert await statuses(google, 1) == [503]
    fault = cal.google.fault("backend_error", times=None)
    assert await statuses(google, 3) == [503] * 3
    fault.times = 0
    assert await statuses(google, 1) == [200]
    cal.google.fault("backend_error", times=None)
    cal.google.faults.clear()
    assert await statuses(google, 1) == [200]


async def test_it_can_be_one_accounts(cal: CalendarRehearsal, google: GoogleClient) -> None:
    ben = cal.google.account("ben@example.com")
    cal.google.fault("backend_error", account=ben, times=None)
    assert await statuses(google, 1) == [200]
    async with httpx.AsyncClient(trust_env=False, verify=trusted()) as client:
        form = {"grant_type": "refresh_token", "refresh_token": ben.refresh_token}
        assert (await client.post(cal.google.token_url, data=form)).status_code == 503


async def test_it_can_be_one_page(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    for hour in range(3):
        ada.primary.add(f"{hour}", f"2027-03-22T{hour:02}:00")
    cal.google.fault("gone", "events.list", page=2)
    page = await google.get(EVENTS, maxResults=1)
    following: dict[str, Any] = {"maxResults": 1, "pageToken": page["nextPageToken"]}
    assert reasons(await google.ask("GET", EVENTS, **following)) == (410, "fullSyncRequired")
    assert (await google.ask("GET", EVENTS, **following)).status_code == 200


async def test_a_grant_that_is_revoked_between_two_pages(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    for hour in range(3):
        ada.primary.add(f"{hour}", f"2027-03-22T{hour:02}:00")
    cal.google.fault("revoke", "events.list", page=2)
    page = await google.get(EVENTS, maxResults=1)
    following: dict[str, Any] = {"maxResults": 1, "pageToken": page["nextPageToken"]}
    assert reasons(await google.ask("GET", EVENTS, **following)) == (401, "authError")
    assert (await google.token()).json()["error"] == "invalid_grant"


async def test_an_access_token_that_dies_on_the_way(
    cal: CalendarRehearsal, google: GoogleClient
) -> None:
    cal.google.fault("expire_access", "events.list", skip=1)
    assert await statuses(google, 3) == [200, 401, 401]
    await google.refresh()
    assert await statuses(google, 1) == [200]


async def test_sync_tokens_that_expire_on_the_way(
    cal: CalendarRehearsal, google: GoogleClient
) -> None:
    cal.google.fault("expire_sync", "events.list", skip=1)
    [page] = await google.pages()
    answer = await google.ask("GET", EVENTS, syncToken=page["nextSyncToken"])
    assert reasons(answer) == (410, "fullSyncRequired")


async def test_an_answer_that_is_lost_on_its_way(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    event = ada.primary.add("Once", "2027-03-22T10:00")
    cal.google.fault("backend_error", "events.delete", afterwards=True)
    path = f"{EVENTS}/{event.id}"
    assert (await google.ask("DELETE", path)).status_code == 503
    assert reasons(await google.ask("DELETE", path)) == (410, "deleted")


async def test_a_request_can_be_held_back(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    gate = cal.google.hold("events.list")
    asking = asyncio.create_task(google.ask("GET", EVENTS))
    async with asyncio.timeout(30):
        await gate.reached()
    assert not asking.done()
    ada.primary.add("meanwhile", "2027-03-22T10:00")
    gate.open()
    assert len((await asking).json()["items"]) == 1
    assert await statuses(google, 1) == [200]


async def test_what_was_asked_is_on_record(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    await google.get(EVENTS, maxResults=5)
    [exchange] = cal.google.asked("events.list", account=ada)
    assert exchange.path == "/google/calendar/v3/calendars/primary/events"
    assert (exchange.query, exchange.status) == ({"maxResults": "5"}, 200)
    assert cal.google.asked("events.get") == []


async def test_only_what_is_known_can_go_wrong(cal: CalendarRehearsal) -> None:
    with pytest.raises(CalendarControlError, match="what: has to be one of backend_error, cut_off"):
        cal.google.fault("everything")
