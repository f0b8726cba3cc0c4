"""A copy kept by incremental answers is what a full listing would give, whatever was done."""

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitin.rehearsal.calendars import CalendarRehearsal
from tests.google_discovery import GoogleJudge
from tests.rehearsal.calendars.asking import GoogleClient, GoogleCopy, GraphClient, GraphCopy, Json
from tests.rehearsal.calendars.histories import END, START, Step, begin, do, steps

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),  # hypothesis takes its time to make a failure small
]

PARIS = ZoneInfo("Europe/Paris")
WINDOW = {"timeMin": START.isoformat(), "timeMax": END.isoformat()}

histories = st.lists(steps(6), min_size=1, max_size=4)
"""Rounds; after each the copy is brought up to date."""

_numbers = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rehearsal() -> AsyncIterator[CalendarRehearsal]:
    judge = GoogleJudge()
    async with CalendarRehearsal(at=START, standing=True) as running:
        running.google.observers.append(judge)
        yield running
    assert judge.complaints == []


def _in_window(item: Json) -> bool:
    start, end = (
        datetime.fromisoformat(item[name].get("dateTime") or item[name]["date"])
        for name in ("start", "end")
    )
    aware = [one.replace(tzinfo=PARIS) if one.tzinfo is None else one for one in (start, end)]
    return aware[1] > START and aware[0] < END


def _told(items: dict[str, Json]) -> dict[str, Any]:
    """What a copy knows about the window."""
    return _plain(
        {
            event_id: item
            for event_id, item in items.items()
            if item["status"] != "cancelled" and _in_window(item)
        }
    )


@given(history=histories)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_google_with_single_events(
    rehearsal: CalendarRehearsal, history: list[list[Step]]
) -> None:
    ada = rehearsal.google.account(f"ada{next(_numbers)}@example.com", zone="Europe/Paris")
    begin(ada.primary)
    async with GoogleClient(rehearsal.google, ada) as client:
        copy = GoogleCopy(client, window=WINDOW, singleEvents=True)
        await copy.sync()
        for round_of_steps in history:
            for step in round_of_steps:
                do(ada.primary, step)
            await copy.sync()
            listed = {item["id"]: item for item in await client.events(singleEvents=True, **WINDOW)}
            assert _told(copy.events) == _told(listed)


@given(history=histories)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_google_with_series(rehearsal: CalendarRehearsal, history: list[list[Step]]) -> None:
    ada = rehearsal.google.account(f"ada{next(_numbers)}@example.com", zone="Europe/Paris")
    begin(ada.primary)
    async with GoogleClient(rehearsal.google, ada) as client:
        copy = GoogleCopy(client)
        for round_of_steps in history:
            for step in round_of_steps:
                do(ada.primary, step)
            await copy.sync()
            listed = {item["id"]: item for item in await client.events()}
            occurring = {item["id"] for item in await client.events(singleEvents=True)}
            assert _plain(_live(copy.events)) == _plain(_live(listed))
            dropped = _cancelled(copy.events) - _cancelled(listed)
            assert not dropped & occurring
            assert _cancelled(listed) <= _cancelled(copy.events)


@given(history=histories)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_graph_delta(rehearsal: CalendarRehearsal, history: list[list[Step]]) -> None:
    mia = rehearsal.microsoft.account(f"mia{next(_numbers)}@contoso.com", zone="Europe/Paris")
    begin(mia.primary)
    async with GraphClient(rehearsal.microsoft, mia) as client:
        copy = GraphCopy(client)
        await copy.sync()
        for round_of_steps in history:
            for step in round_of_steps:
                do(mia.primary, step)
            await copy.sync()
            fresh = GraphCopy(client)
            await fresh.sync()
            assert _plain(copy.events) == _plain(fresh.events)
            seen = await client.events(prefer='IdType="ImmutableId"')
            assert {item["id"] for item in seen} == set(copy.events)


def _live(items: dict[str, Json]) -> dict[str, Json]:
    """What takes place; an exception goes with its series."""
    return {
        event_id: item
        for event_id, item in items.items()
        if item["status"] != "cancelled"
        and items[item.get("recurringEventId", event_id)]["status"] != "cancelled"
    }


def _cancelled(items: dict[str, Json]) -> set[str]:
    """Occurrences that do not take place though their series does."""
    return {
        event_id
        for event_id, item in items.items()
        if item["status"] == "cancelled"
        and "recurringEventId" in item
        and items[item["recurringEventId"]]["status"] != "cancelled"
    }


def _plain(items: dict[str, Json]) -> dict[str, Any]:
    """Without what only tells when an event was told last."""
    told_last = ("etag", "updated", "@odata.etag", "changeKey", "lastModifiedDateTime")
    return {
        event_id: {name: value for name, value in item.items() if name not in told_last}
        for event_id, item in items.items()
    }
