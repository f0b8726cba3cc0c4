"""Google's tokens, profile and calendar lists."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from sitin.kit.tls import trusted
from sitin.rehearsal.calendars import Account, CalendarControlError, CalendarRehearsal
from sitin.rehearsal.calendars.google import oauth
from tests.rehearsal.calendars.asking import GoogleClient, reasons

LIST = "/users/me/calendarList"


def error(answer: httpx.Response) -> tuple[int, Any, Any]:
    body = answer.json()
    return answer.status_code, body["error"], body.get("error_subtype")


async def test_a_refresh_gives_an_hour_and_no_new_refresh_token(google: GoogleClient) -> None:
    body = (await google.token()).json()
    assert set(body) == {"access_token", "expires_in", "scope", "token_type"}
    assert body["expires_in"] == 3599
    assert oauth.CALENDAR in body["scope"].split()
    fewer = (await google.token(scope=oauth.EVENTS_READ)).json()
    assert fewer["scope"] == oauth.EVENTS_READ


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"grant_type": "password"}, (400, "unsupported_grant_type", None)),
        ({"client_id": ""}, (400, "invalid_request", None)),
        ({"client_id": "somebody"}, (401, "invalid_client", None)),
        ({"client_secret": "wrong"}, (401, "invalid_client", None)),
        ({"refresh_token": ""}, (400, "invalid_request", None)),
        ({"refresh_token": "made-up"}, (400, "invalid_grant", None)),
        ({"scope": "https://www.googleapis.com/auth/drive"}, (400, "invalid_scope", None)),
    ],
)
async def test_a_refresh_that_is_wrong_is_refused(
    google: GoogleClient, changes: dict[str, str], says: tuple[int, str, None]
) -> None:
    assert error(await google.token(**changes)) == says


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("revoked", (400, "invalid_grant", None)),
        ("invalid_rapt", (400, "invalid_grant", "invalid_rapt")),
        ("rapt_required", (400, "invalid_grant", "rapt_required")),
        ("admin_policy_enforced", (400, "admin_policy_enforced", None)),
        ("unauthorized_client", (401, "unauthorized_client", None)),
        ("deleted_client", (401, "deleted_client", None)),
    ],
)
async def test_a_grant_that_has_ended_says_why(
    ada: Account, google: GoogleClient, reason: str, says: tuple[int, str, str | None]
) -> None:
    ada.revoke(reason)
    assert error(await google.token()) == says
    assert reasons(await google.ask("GET", LIST)) == (401, "authError")


async def test_a_grant_can_be_given_anew(ada: Account, google: GoogleClient) -> None:
    old = ada.refresh_token
    ada.revoke()
    ada.grant.renew()
    assert error(await google.token(refresh_token=old)) == (400, "invalid_grant", None)
    await google.refresh()
    assert (await google.get(LIST))["items"][0]["primary"] is True


def test_only_reasons_that_the_provider_knows_end_a_grant(ada: Account) -> None:
    with pytest.raises(CalendarControlError, match="reason: has to be one of admin_policy"):
        ada.revoke("bad mood")


async def test_a_secret_that_was_rotated_is_wrong(
    cal: CalendarRehearsal, google: GoogleClient
) -> None:
    before = cal.google.client.secret
    cal.google.client.secret = "another"
    assert error(await google.token(client_secret=before)) == (401, "invalid_client", None)


async def test_another_clients_token_is_refused(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    other = cal.google.new_client("other.apps.googleusercontent.com", "other-secret")
    refused = await google.token(client_id=other.id, client_secret=other.secret)
    assert error(refused) == (401, "unauthorized_client", None)
    grant = ada.allow(other, oauth.ALL)
    taken = await google.token(
        client_id=other.id, client_secret=other.secret, refresh_token=grant.refresh_token
    )
    assert taken.status_code == 200


async def test_an_access_token_dies_with_its_hour_or_before(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    cal.clock.move(timedelta(seconds=3598))
    await google.get(LIST)
    cal.clock.move(timedelta(seconds=1))
    assert reasons(await google.ask("GET", LIST)) == (401, "authError")
    await google.refresh()
    ada.expire_access()
    assert reasons(await google.ask("GET", LIST)) == (401, "authError")
    await google.refresh()
    await google.get(LIST)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({oauth.EMAIL}, set()),
        ({oauth.CALENDAR_READ}, {"list", "calendar", "events"}),
        ({oauth.EVENTS_READ}, {"events"}),
        ({oauth.EVENTS}, {"events", "write"}),
        ({oauth.LIST_READ}, {"list"}),
        ({oauth.CALENDAR}, {"list", "calendar", "events", "write"}),
    ],
)
async def test_what_a_scope_allows(
    ada: Account, google: GoogleClient, scopes: set[str], allowed: set[str]
) -> None:
    ada.grant.scopes = scopes
    body = (await google.token()).json()
    assert body["scope"].split() == sorted(scopes)
    await google.refresh()
    asked = {
        "list": await google.ask("GET", LIST),
        "calendar": await google.ask("GET", "/calendars/primary"),
        "events": await google.ask("GET", "/calendars/primary/events"),
        "write": await google.ask("POST", "/calendars/primary/events", json={}),
    }
    refused = {name for name, answer in asked.items() if answer.status_code == 403}
    assert refused == set(asked) - allowed
    for name in refused:
        body = asked[name].json()["error"]
        assert body["errors"][0]["reason"] == "insufficientPermissions"
        assert body["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


async def test_requests_without_a_good_token_are_refused(cal: CalendarRehearsal) -> None:
    url = f"{cal.google.api_url}/calendar/v3{LIST}"
    async with httpx.AsyncClient(trust_env=False, verify=trusted()) as client:
        for headers in ({}, {"authorization": "Bearer made-up"}, {"authorization": "Basic eA=="}):
            assert reasons(await client.get(url, headers=headers)) == (401, "authError")


async def test_the_profile_tells_the_address(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    token = (await google.token()).json()["access_token"]
    async with httpx.AsyncClient(trust_env=False, verify=trusted()) as client:
        answer = await client.get(
            f"{cal.google.api_url}/oauth2/v2/userinfo",
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.json()["email"] == "ada@example.com"
        ada.grant.scopes = {oauth.CALENDAR}
        answer = await client.get(
            f"{cal.google.api_url}/oauth2/v2/userinfo",
            headers={"authorization": f"Bearer {token}"},
        )
    assert reasons(answer) == (403, "insufficientPermissions")


async def test_primary_is_an_alias(ada: Account, google: GoogleClient) -> None:
    for alias in ("primary", "ada%40example.com"):
        assert (await google.get(f"/calendars/{alias}"))["id"] == "ada@example.com"
        assert (await google.get(f"{LIST}/{alias}"))["primary"] is True


async def test_the_list_in_pages_and_its_changes(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    ben = cal.google.account("ben@example.com", zone="America/New_York")
    team = ada.calendar("Team", zone="Asia/Tokyo")
    ada.share(ben.primary, "reader")
    first = await google.get(LIST, maxResults=2)
    last = await google.get(LIST, maxResults=2, pageToken=first["nextPageToken"])
    found = {item["id"]: item for item in first["items"] + last["items"]}
    assert list(found) == ["ada@example.com", team.id, "ben@example.com"]
    assert found[team.id]["timeZone"] == "Asia/Tokyo"
    assert found["ben@example.com"]["accessRole"] == "reader"
    assert "primary" not in found["ben@example.com"]
    writable = await google.get(LIST, minAccessRole="writer")
    assert len(writable["items"]) == 2
    ada.unshare(ben.primary)
    changes = await google.get(LIST, syncToken=last["nextSyncToken"])
    assert [(item["id"], item["deleted"]) for item in changes["items"]] == [
        ("ben@example.com", True)
    ]
    assert len((await google.get(LIST))["items"]) == 2
    assert len((await google.get(LIST, showDeleted=True))["items"]) == 3


async def test_a_calendar_that_is_unshared_or_deleted_is_not_found(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    ben = cal.google.account("ben@example.com")
    team = ada.calendar("Team")
    ada.share(ben.primary)
    ada.unshare(ben.primary)
    ada.delete_calendar(team)
    for calendar_id in ("ben@example.com", team.id, "nobody@example.com"):
        for path in (f"/calendars/{calendar_id}", f"/calendars/{calendar_id}/events"):
            assert reasons(await google.ask("GET", path)) == (404, "notFound")
