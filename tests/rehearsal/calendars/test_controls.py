"""The controls over HTTP, and the page that people use."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, async_playwright, expect

from sitin.rehearsal.calendars import Account, CalendarRehearsal
from tests.fakes.receiver import Receiver
from tests.rehearsal.calendars.asking import GoogleClient, GraphClient, client
from tests.rehearsal.calendars.conftest import NOW
from tests.rehearsal.guest import CHROMIUM, CHROMIUM_ARGS
from tests.serving import serving
from tests.waiting import until

ADA = "/google/accounts/ada@example.com"
EVENTS = "/google/calendars/ada@example.com/events"
SERIES = {
    "title": "Standup",
    "start": "2027-03-22T10:00",
    "recurrence": "FREQ=DAILY;COUNT=4",
    "attendees": ["ben@example.com", {"email": "ada@example.com", "name": "Ada"}],
    "meeting_url": "https://meet.google.com/abc-defg-hij",
}


class Controls:
    """A program that uses the controls."""

    def __init__(self, cal: CalendarRehearsal) -> None:
        self.http = client()
        self._url = cal.control_url

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.http.request(method, f"{self._url}{path}", json=body)

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.ask("POST", path, body)
        assert answer.is_success, answer.text
        return answer.json()

    async def get(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def controls(cal: CalendarRehearsal, ada: Account) -> AsyncIterator[Controls]:
    made = Controls(cal)
    yield made
    await made.http.aclose()


async def test_everything_that_there_is(
    cal: CalendarRehearsal, controls: Controls, mia: Account
) -> None:
    shown = await controls.get("/")
    assert shown["clock"] == {"now": "2027-03-20T12:00:00.000Z", "standing": True}
    assert shown["environment"] == dict(cal.environment)
    [ada] = shown["google"]["accounts"]
    assert ada["refresh_token"] == cal.google.accounts["ada@example.com"].refresh_token
    assert [one["id"] for one in ada["calendars"]] == ["ada@example.com"]
    assert shown["microsoft"]["accounts"][0]["email"] == mia.email
    assert await controls.get("/google") == shown["google"]
    assert await controls.get(ADA) == ada


async def test_an_account_and_its_calendars_are_made(
    cal: CalendarRehearsal, controls: Controls
) -> None:
    for provider in ("google", "microsoft"):
        made = await controls.post(f"/{provider}/accounts", email="kim@example.com", zone="UTC")
        assert made["ended"] is None
        path = f"/{provider}/accounts/kim@example.com"
        made = await controls.post(f"{path}/new_calendar", name="Team", zone="Asia/Tokyo")
        team = made["calendars"][1]
        assert (team["name"], team["zone"]) == ("Team", "Asia/Tokyo")
        made = await controls.post(f"{path}/delete_calendar", calendar=team["id"])
        assert len(made["calendars"]) == 1
    own = (await controls.get("/google/accounts/kim@example.com"))["calendars"][0]["id"]
    shared = await controls.post(f"{ADA}/share", calendar=own, role="freeBusyReader")
    assert shared["calendars"][1]["role"] == "freeBusyReader"
    assert len((await controls.post(f"{ADA}/unshare", calendar=own))["calendars"]) == 1


async def test_what_people_do_with_events(controls: Controls, google: GoogleClient) -> None:
    series = await controls.post(EVENTS, **SERIES)
    assert series["recurrence"] == ["RRULE:FREQ=DAILY;COUNT=4"]
    path = f"{EVENTS}/{series['id']}"
    moved = await controls.post(f"{path}/move", on="2027-03-23", start="2027-03-23T15:00")
    assert (moved["on"], moved["start_utc"]) == ("20270323T090000Z", "2027-03-23T14:00:00.000Z")
    assert (await controls.get(f"{EVENTS}/{moved['api_id']}"))["is_exception"] is True
    await controls.post(f"{EVENTS}/{moved['api_id']}/edit", title="Special")
    await controls.post(f"{path}/decline", on="2027-03-24")
    await controls.post(f"{path}/delete", on="2027-03-25")
    found = (await controls.get(EVENTS))["events"]
    assert [(one["title"], one["response"]) for one in found] == [
        ("Standup", "needsAction"),
        ("Special", "needsAction"),
        ("Standup", "declined"),
    ]
    listed = await google.events(singleEvents=True, orderBy="startTime")
    assert [one["id"] for one in listed] == [one["api_id"] for one in found]
    assert len((await controls.get(f"{EVENTS}?removed=true"))["events"]) == 4
    await controls.post(f"{path}/restore", on="2027-03-25")
    split = await controls.post(f"{path}/split", on="2027-03-24", title="Later")
    assert split["id"] == f"{series['id']}_R20270324T090000"
    await controls.post(f"{EVENTS}/{split['id']}/cancel")
    await controls.post(f"{path}/repeat", recurrence="FREQ=WEEKLY;COUNT=2")
    await controls.post(f"{path}/reset")
    await controls.post(f"{path}/touch")
    await controls.post(f"{path}/respond", response="accepted", who="ben@example.com")
    last = await controls.post(f"{path}/finish_conference", meeting_url=None)
    assert (last["conference"], last["meeting_url"]) == ("failure", None)
    window = "start=2027-03-20T00:00:00Z&end=2027-03-23T00:00:00Z"
    assert len((await controls.get(f"{EVENTS}?{window}"))["events"]) == 1


async def test_an_event_is_known_by_graphs_ids_too(
    controls: Controls, mia: Account, graph: GraphClient
) -> None:
    path = f"/microsoft/calendars/{mia.primary.id}/events"
    await controls.post(path, **SERIES)
    second = (await graph.events())[1]
    changed = await controls.post(f"{path}/{second['id']}/edit", title="Special")
    assert changed["on"] == "20270323T090000Z"
    assert [one["subject"] for one in await graph.events()].count("Special") == 1


async def test_a_grant_is_taken_and_given(controls: Controls, google: GoogleClient) -> None:
    assert (await controls.post(f"{ADA}/revoke", reason="invalid_rapt"))["ended"] == "invalid_rapt"
    assert (await google.token()).json()["error_subtype"] == "invalid_rapt"
    assert (await controls.post(f"{ADA}/renew"))["ended"] is None
    await google.refresh()
    await controls.post(f"{ADA}/expire_access")
    assert (await google.ask("GET", "/calendars/primary")).status_code == 401
    await google.refresh()
    [page] = await google.pages()
    await controls.post(f"{ADA}/expire_sync")
    path = "/calendars/primary/events"
    assert (await google.ask("GET", path, syncToken=page["nextSyncToken"])).status_code == 410
    await controls.post(f"{ADA}/scopes", scopes=["openid"])
    assert (await google.ask("GET", path)).status_code == 403


async def test_an_account_loses_its_licence(
    controls: Controls, mia: Account, graph: GraphClient
) -> None:
    path = f"/microsoft/accounts/{mia.email}/licence"
    assert (await controls.post(path, licensed=False))["licensed"] is False
    assert (await graph.ask("GET", "/me/calendars")).status_code == 404


async def test_faults_and_settings(
    cal: CalendarRehearsal, controls: Controls, google: GoogleClient
) -> None:
    made = await controls.post(
        "/google/faults", what="rate_limited", operation="events.list", times=2, retry_after=3
    )
    assert made["times"] == 2
    answer = await google.ask("GET", "/calendars/primary/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (403, "3")
    assert (await controls.get("/google/faults"))["faults"][0]["times"] == 1
    await controls.post("/google/faults", what="hold", operation="calendars.get")
    asking = asyncio.create_task(google.ask("GET", "/calendars/primary"))
    gate = cal.google.faults.there[-1].gate
    assert gate is not None
    async with asyncio.timeout(30):
        await gate.reached()
    assert not asking.done()
    assert (await controls.ask("DELETE", "/google/faults")).status_code == 204
    assert (await asking).status_code == 200
    await controls.post("/google/settings", sizes=[0], repeat=True, cancellations_reach="P7D")
    assert cal.google.paging.sizes == (0,)
    assert cal.google.cancellations_reach == timedelta(days=7)
    assert [len(page["items"]) for page in await google.pages()] == [0, 0]
    await controls.post("/microsoft/settings", silent_deletions=False, gone_code="resyncRequired")
    assert cal.microsoft.gone_code == "resyncRequired"
    requests = (await controls.get("/google/requests"))["requests"]
    assert [one["fault"] for one in requests if one["operation"] == "events.list"] == [
        *("rate_limited", None, None)
    ]


async def test_pushes_are_dropped_held_and_waited_for(
    cal: CalendarRehearsal, controls: Controls, google: GoogleClient
) -> None:
    receiver = Receiver()
    async with serving(receiver) as url:
        body = {"id": "c", "type": "web_hook", "address": f"{url}/push"}
        await google.ask("POST", "/calendars/primary/events/watch", json=body)
        await controls.get("/wait/settled?timeout=30")
        await controls.post("/pushes/drop", count=1)
        await controls.post(EVENTS, title="lost", start="2027-03-22T10:00")
        await controls.post("/pushes/hold")
        await controls.post("/pushes/duplicate", copies=2)
        await controls.post(EVENTS, title="held", start="2027-03-22T10:00")
        assert (await controls.get("/pushes"))["held"] == 1
        await controls.post("/pushes/release", order="reversed")
        await controls.post("/pushes/delay", seconds=0)
        told = await controls.get("/wait/settled")
    assert (told["dropped"], told["held"]) == (1, 0)
    assert [one["status"] for one in told["deliveries"]] == [200, 200]
    assert len(receiver.received["/push"]) == 2
    assert (await controls.get("/google"))["watchers"][0]["id"] == "c"


async def test_the_clock_is_set_and_moved(cal: CalendarRehearsal, controls: Controls) -> None:
    assert await controls.post("/clock", by=3600) == {
        "now": "2027-03-20T13:00:00.000Z",
        "standing": True,
    }
    await controls.post("/clock", at="2027-06-01T12:00:00+02:00", by="P1D", standing=False)
    first = cal.clock.now()
    assert first.isoformat().startswith("2027-06-02T10:00")
    await until(lambda: cal.clock.now() > first)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", "/zoom", None, 404, "there is no provider 'zoom'; there are google, microsoft"),
        ("GET", "/google/accounts/nobody", None, 404, "account: there is no account 'nobody'"),
        ("POST", "/google/accounts", {"email": "ada@example.com"}, 400, "email: there is an"),
        ("POST", "/google/accounts", {"email": "ada"}, 400, "email: String should match"),
        ("POST", "/google/accounts", {"email": "x@y.z", "zone": "Mars"}, 400, "zone: 'Mars' is no"),
        ("POST", f"{ADA}/dance", {}, 404, "there is no control 'dance'; there are delete_calendar"),
        ("POST", f"{ADA}/new_calendar", {"name": "x", "zone": "Mars"}, 400, "zone: 'Mars' is no"),
        (
            "POST",
            f"{ADA}/new_calendar",
            {"name": "x", "calendar_id": "ada@example.com"},
            400,
            "calendar_id: there is one",
        ),
        ("POST", f"{ADA}/revoke", {"reason": "mood"}, 400, "reason: has to be one of admin_pol"),
        ("POST", f"{ADA}/share", {"calendar": "x"}, 404, "calendar: there is no calendar 'x'"),
        ("POST", EVENTS, {"title": "x"}, 400, "start: Field required"),
        ("POST", EVENTS, {"title": "x", "start": "soon"}, 400, "start: has to be a time like"),
        ("POST", EVENTS, {"title": "x", "start": "2027-03-22", "colour": 1}, 400, "colour: Extra"),
        ("POST", f"{EVENTS}/none/delete", {}, 404, "event: there is no event 'none'"),
        ("POST", "/google/faults", {"what": "flood"}, 400, "what: has to be one of backend_error"),
        ("POST", "/pushes/drop", {"count": -1}, 400, "count: Input should be greater"),
        ("POST", "/clock", {"at": "2027-03-22T10:00"}, 400, "at: Input should have timezone"),
        ("GET", "/wait/summer", None, 404, "cannot wait for 'summer'; only for settled"),
        ("GET", f"{EVENTS}?start=2027-03-22T10:00", None, 400, "start, end: have to have an off"),
        ("POST", "/microsoft/subscriptions/x/lifecycle", {"event": "missed"}, 404, "subscription:"),
    ],
)
async def test_what_does_not_fit_is_refused_with_a_sentence(
    controls: Controls, method: str, path: str, body: Any, status: int, says: str
) -> None:
    answer = await controls.ask(method, path, body)
    assert answer.status_code == status
    assert answer.json()["message"].startswith(says)


async def test_a_body_that_is_not_json_is_refused(controls: Controls) -> None:
    url = f"{controls._url}/clock"
    answer = await controls.http.post(url, content=b"{", headers={"content-type": "text/plain"})
    assert answer.json()["message"].startswith("the body is not JSON")


@pytest.fixture
async def page(cal: CalendarRehearsal) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        opened = await browser.new_page(java_script_enabled=False)
        opened.set_default_timeout(30_000)
        yield opened
        await browser.close()


@pytest.mark.e2e
async def test_a_person_changes_a_calendar_on_the_page(
    cal: CalendarRehearsal, ada: Account, page: Page, google: GoogleClient
) -> None:
    series = ada.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=4")
    ada.primary.add("<script>alert(1)</script>", "2027-03-30")
    await page.goto(cal.page_url)
    await expect(page.locator("tbody tr")).to_have_count(5)
    await expect(page.get_by_text("<script>alert(1)</script>", exact=True)).to_have_count(1)

    async def press(button: Locator) -> None:
        # The page that answers the form is another one at the same address.
        async with page.expect_navigation(url=cal.page_url):
            await button.click()

    async def change(row: int, button: str, **fields: str) -> None:
        there = page.locator("tbody tr").nth(row)
        if await there.locator("summary").count():  # the page is loaded
            await there.locator("summary").click()
        form = there.locator("form", has=page.get_by_role("button", name=button, exact=True))
        for label, value in fields.items():
            await form.get_by_label(label, exact=True).fill(value)
        await press(form.get_by_role("button"))

    await change(0, "Move", start="2027-03-22T11:30", end="2027-03-22T12:30")
    assert ada.primary.occurrence(series, "2027-03-22").span.bounds(ada.primary.zone)[0] == (
        NOW + timedelta(days=1, hours=22, minutes=30)
    )
    await change(1, "Rename", title="Special")
    await change(1, "Decline")
    await change(2, "Cancel")
    await change(3, "Delete")
    listed = await google.events(singleEvents=True, orderBy="startTime", timeMax=_end())
    assert [one["summary"] for one in listed] == ["Standup", "Special"]
    await change(3, "Restore")
    await change(2, "Restore")
    await change(2, "Split: this and following", **{"title from here on": "Later"})
    listed = await google.events(singleEvents=True, orderBy="startTime", timeMax=_end())
    assert [one["summary"] for one in listed] == ["Standup", "Special", "Later", "Later"]
    await press(page.get_by_role("button", name="Revoke"))
    assert (await google.token()).json()["error"] == "invalid_grant"
    await press(page.get_by_role("button", name="Grant anew"))
    assert ada.grant.ended is None
    await press(page.get_by_role("button", name="Move the clock"))
    assert cal.clock.now() == NOW + timedelta(hours=1)


@pytest.mark.e2e
async def test_the_page_says_what_was_wrong(
    cal: CalendarRehearsal, ada: Account, page: Page
) -> None:
    await page.goto(cal.page_url)
    await page.get_by_text("Add an event").click()
    form = page.locator("form", has=page.get_by_role("button", name="Add", exact=True))
    await form.get_by_label("title").fill("Odd")
    await form.get_by_label("start").fill("2027-03-22T10:00")
    await form.get_by_label("recurrence").fill("FREQ=SOMETIMES")
    await form.get_by_role("button").click()
    await expect(page.get_by_role("alert")).to_contain_text("recurrence: ")
    assert list(ada.primary.history) == []


def _end() -> str:
    return "2027-03-29T00:00:00Z"
