"""Every calendar operation, driven by the client that people have."""

from typing import Any

import pytest

from tests.api.conftest import MEET_URL
from tests.api.desk import Desk, both, desk, platform
from tests.sdk.conftest import Sdk

__all__ = ["desk", "platform"]

pytestmark = pytest.mark.db

NIL = "00000000-0000-0000-0000-000000000000"


async def connected(desk: Desk, sdk: Sdk) -> dict[str, str]:
    """What calls about a connection begin with; in it are a meeting and a series of three."""
    await desk.meetings("Plan")
    desk.account.primary.add(
        "Weekly",
        desk.in_(days=1),
        recurrence="RRULE:FREQ=WEEKLY;COUNT=3",
        meeting_url=MEET_URL,
    )
    made = await sdk.well(
        "createCalendarConnection", {**credentials(desk), "raw_calendar_id": "primary"}
    )
    assert made["data"]["status"] == "active"
    await desk.work()
    return {"calendar_id": made["data"]["calendar_id"]}


def credentials(desk: Desk) -> dict[str, str]:
    return {**desk.credentials, "oauth_tenant_id": "common"}


@both
async def test_a_connection_from_its_choice_to_its_end(desk: Desk, sdk: Sdk) -> None:
    raw = await sdk.well("listRawCalendars", credentials(desk))
    assert [one["id"] for one in raw["data"]] == [desk.account.primary.id]
    calendar = await connected(desk, sdk)
    details = (await sdk.well("getCalendarDetails", calendar))["data"]
    assert (details["status"], details["sync_status"]) == ("active", "success")
    assert details["subscription_id"] is not None
    listed = await sdk.well("listCalendars")
    assert [one["calendar_id"] for one in listed["data"]] == [calendar["calendar_id"]]
    listed = await sdk.well("listCalendars", {"account_email": "ADA", "status": "active,error"})
    assert len(listed["data"]) == 1
    await sdk.well("syncCalendar", calendar)
    again = await sdk.well("resubscribeCalendar", calendar)
    assert again["data"]["calendar_id"] == calendar["calendar_id"]
    # The client demands all four.
    body = {name: value for name, value in credentials(desk).items() if name.startswith("oauth")}
    body["oauth_refresh_token"] = desk.account.grant.renew()
    await sdk.well("updateCalendarConnection", {**calendar, "body": body})
    await desk.work()
    after = (await sdk.well("getCalendarDetails", calendar))["data"]
    assert after["subscription_id"] not in (None, details["subscription_id"])
    await sdk.well("deleteCalendarConnection", calendar)
    gone = await sdk("getCalendarDetails", calendar)
    assert (gone["statusCode"], gone["code"]) == (404, "FST_ERR_CALENDAR_NOT_FOUND")


async def test_events_and_series(desk: Desk, sdk: Sdk) -> None:
    calendar = await connected(desk, sdk)
    events = (await sdk.well("listEvents", calendar))["data"]
    assert [one["title"] for one in events] == ["Plan", "Weekly", "Weekly", "Weekly"]
    seen: list[Any] = []
    query: dict[str, Any] = {"limit": 3, "show_cancelled": False}
    while True:
        page = await sdk.well("listEvents", {**calendar, "query": query})
        seen += page["data"]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]
    assert seen == events
    # With a query, the client itself demands to be told about cancelled ones.
    refused = await sdk("listEvents", {**calendar, "query": {"limit": 3}})
    assert refused["success"] is False
    shown = (await sdk.well("getEventDetails", {**calendar, "event_id": events[0]["event_id"]}))[
        "data"
    ]
    assert (shown["title"], shown["meeting_url"]) == ("Plan", MEET_URL)
    series = (await sdk.well("listEventSeries", calendar))["data"]
    assert [len(one["events"]) for one in series] == [1, 3]
    query = {"limit": 1, "show_cancelled": True, "event_type": "recurring"}
    series = (await sdk.well("listEventSeries", {**calendar, "query": query}))["data"]
    assert [one["series_id"] for one in series] == [events[1]["series_id"]]


async def test_bots(desk: Desk, sdk: Sdk) -> None:
    calendar = await connected(desk, sdk)
    plan, *weekly = (await sdk.well("listEvents", calendar))["data"]
    event = {**calendar, "event_id": plan["event_id"]}
    one: dict[str, Any] = {"event_id": plan["event_id"], "series_id": NIL, "all_occurrences": False}
    every = {"series_id": weekly[0]["series_id"], "all_occurrences": True}
    made = await sdk.well(
        "createCalendarBot", {**calendar, "body": {"bot_name": "Notes", **one, "extra": {"n": 1}}}
    )
    assert ([each["event_id"] for each in made["data"]], made["errors"]) == ([plan["event_id"]], [])
    made = await sdk.well("createCalendarBot", {**calendar, "body": {"bot_name": "All", **every}})
    assert len(made["data"]) == 3
    again = await sdk.well("createCalendarBot", {**calendar, "body": {"bot_name": "N", **one}})
    assert [each["code"] for each in again["errors"]] == ["BOT_ALREADY_SCHEDULED"]
    changed = await sdk.well("updateCalendarBot", {**event, "body": {"bot_name": "Other", **one}})
    assert [each["event_id"] for each in changed["data"]] == [plan["event_id"]]
    changed = await sdk.well(
        "updateCalendarBot",
        {**calendar, "event_id": weekly[0]["event_id"], "body": {"bot_name": "Two", **every}},
    )
    assert len(changed["data"]) == 3
    # The client puts a placeholder where the contract wants a series.
    cancelled = await sdk.well("deleteCalendarBot", event)
    assert [each["event_id"] for each in cancelled["data"]] == [plan["event_id"]]
    events = (await sdk.well("listEvents", calendar))["data"]
    assert [each["bot_scheduled"] for each in events] == [False, True, True, True]
    refused = await sdk("deleteCalendarBot", event)
    assert (refused["statusCode"], refused["code"]) == (404, "FST_ERR_CALENDAR_BOT_NOT_FOUND")


async def test_what_is_refused_is_told_by_us(desk: Desk, sdk: Sdk) -> None:
    refused = await sdk(
        "createCalendarConnection",
        {**credentials(desk), "oauth_refresh_token": "nobody's", "raw_calendar_id": "primary"},
    )
    assert (refused["statusCode"], refused["code"]) == (401, "FST_ERR_CALENDAR_UNAUTHORIZED")
    calendar = await connected(desk, sdk)
    refused = await sdk(
        "createCalendarConnection", {**credentials(desk), "raw_calendar_id": "primary"}
    )
    assert (refused["statusCode"], refused["code"]) == (409, "FST_ERR_CALENDAR_ALREADY_EXISTS")
    desk.account.revoke()
    refused = await sdk("syncCalendar", calendar)
    assert (refused["statusCode"], refused["code"]) == (401, "FST_ERR_CALENDAR_UNAUTHORIZED")
