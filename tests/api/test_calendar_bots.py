"""Bots for events over HTTP, and whose calendars are whose; more is in tests/calendars."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from sitin.accounts.models import Permission
from tests.api.conftest import Api
from tests.api.desk import Desk, desk, error_of, platform
from tests.documents import CALENDAR_OPERATIONS, own

__all__ = ["desk", "platform"]

pytestmark = pytest.mark.db

NIL = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def path(desk: Desk) -> str:
    """A connection with a meeting, something without an address, and a series of four."""
    await desk.meetings("Plan")
    calendar = desk.account.primary
    calendar.add("Lunch", desk.in_(hours=2))
    calendar.add("Elsewhere", desk.in_(hours=3), location="https://meet.example.com/room")
    calendar.add(
        "Weekly",
        desk.in_(days=1),
        recurrence="RRULE:FREQ=WEEKLY;COUNT=4",
        meeting_url="https://zoom.us/j/85000000000",
    )
    return await desk.connect()


async def event(desk: Desk, path: str, title: str) -> dict[str, Any]:
    """The first event of this title."""
    found = [one for one in await desk.data(f"{path}/events") if one["title"] == title]
    first: dict[str, Any] = found[0]
    return first


async def send(desk: Desk, path: str, **fields: Any) -> httpx.Response:
    return await desk.api.client.post(f"{path}/bots", json={"bot_name": "Notes"} | fields)


async def change(desk: Desk, path: str, **fields: Any) -> httpx.Response:
    return await desk.api.client.patch(f"{path}/bots", json=fields)


async def cancel(desk: Desk, path: str, **fields: Any) -> httpx.Response:
    return await desk.api.client.request("DELETE", f"{path}/bots", json=fields)


def one_event(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"event_id": event["event_id"], "all_occurrences": False, "series_id": NIL}


def whole_series(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"series_id": event["series_id"], "all_occurrences": True}


def ids(response: httpx.Response) -> list[str]:
    return [one["event_id"] for one in response.json()["data"]]


def codes(response: httpx.Response) -> list[str]:
    return [one["code"] for one in response.json()["errors"]]


class TestOneEvent:
    async def test_from_its_bot_to_none(self, desk: Desk, path: str) -> None:
        plan = await event(desk, path, "Plan")
        assert plan["bot_scheduled"] is False
        sent = await send(desk, path, **one_event(plan), extra={"deal": 42})
        assert (sent.status_code, ids(sent), codes(sent)) == (201, [plan["event_id"]], [])
        assert (await event(desk, path, "Plan"))["bot_scheduled"] is True
        changed = await change(desk, path, **one_event(plan), bot_name="Other")
        assert (changed.status_code, ids(changed)) == (200, [plan["event_id"]])
        cancelled = await cancel(desk, path, **one_event(plan))
        assert (cancelled.status_code, ids(cancelled)) == (200, [plan["event_id"]])
        assert (await event(desk, path, "Plan"))["bot_scheduled"] is False

    async def test_only_event_id_is_needed(self, desk: Desk, path: str) -> None:
        plan = {"event_id": (await event(desk, path, "Plan"))["event_id"]}
        assert (await send(desk, path, **plan)).status_code == 201
        assert (await change(desk, path, **plan)).status_code == 200
        assert (await cancel(desk, path, **plan)).status_code == 200

    @pytest.mark.parametrize(
        ("title", "code"),
        [("Lunch", "MEETING_URL_NOT_FOUND"), ("Elsewhere", "INVALID_MEETING_PLATFORM")],
    )
    async def test_where_none_can_go_is_told_in_the_answer(
        self, desk: Desk, path: str, title: str, code: str
    ) -> None:
        answer = await send(desk, path, **one_event(await event(desk, path, title)))
        assert (answer.status_code, ids(answer), codes(answer)) == (201, [], [code])

    async def test_a_second_one_is_told_in_the_answer(self, desk: Desk, path: str) -> None:
        plan = one_event(await event(desk, path, "Plan"))
        await send(desk, path, **plan)
        assert codes(await send(desk, path, **plan)) == ["BOT_ALREADY_SCHEDULED"]

    async def test_shortly_before_its_time_it_is_locked(self, desk: Desk, path: str) -> None:
        plan = one_event(await event(desk, path, "Plan"))
        await send(desk, path, **plan)
        desk.api.house.clock.move(timedelta(minutes=57))
        for answer in (
            await change(desk, path, **plan, bot_name="Late"),
            await cancel(desk, path, **plan),
        ):
            assert error_of(answer) == (409, "FST_ERR_BOT_STATUS")
            assert "4 minutes" in answer.json()["message"]


class TestASeries:
    async def test_from_its_bots_to_none(self, desk: Desk, path: str) -> None:
        weekly = await event(desk, path, "Weekly")
        sent = await send(desk, path, **whole_series(weekly))
        assert (sent.status_code, len(ids(sent)), codes(sent)) == (201, 4, [])
        changed = await change(desk, path, **whole_series(weekly), bot_name="All")
        assert ids(changed) == ids(sent)
        # Whoever takes one of them out sends none there with the next change.
        assert ids(await cancel(desk, path, **one_event(weekly))) == [weekly["event_id"]]
        assert ids(await change(desk, path, **whole_series(weekly))) == ids(sent)[1:]
        cancelled = await cancel(desk, path, **whole_series(weekly))
        assert ids(cancelled) == ids(sent)[1:]
        events = await desk.data(f"{path}/events")
        assert {one["bot_scheduled"] for one in events} == {False}

    async def test_some_have_one_already(self, desk: Desk, path: str) -> None:
        weekly = await event(desk, path, "Weekly")
        await send(desk, path, **one_event(weekly))
        sent = await send(desk, path, **whole_series(weekly))
        assert (len(ids(sent)), codes(sent)) == (3, ["BOT_ALREADY_SCHEDULED"])
        assert sent.json()["errors"][0]["event_id"] == weekly["event_id"]


class TestBadInput:
    async def test_which_events_has_to_be_said(self, desk: Desk, path: str) -> None:
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"event_id": "nonsense"}, "event_id"),
            ({"event_id": NIL, "all_occurrences": False}, "event_id"),
            ({"all_occurrences": False}, "event_id"),
            ({"all_occurrences": True}, "series_id"),
            ({"all_occurrences": True, "series_id": NIL}, "series_id"),
            ({"all_occurrences": "yes"}, "all_occurrences"),
            ({"series_id": 7}, "series_id"),
        ]
        for fields, field in wrong:
            for ask in (send, change, cancel):
                answer = await ask(desk, path, **fields)
                assert error_of(answer) == (400, "FST_ERR_VALIDATION")
                assert answer.json()["message"].startswith(field), answer.text

    async def test_what_is_wrong_with_a_bot_is_named(self, desk: Desk, path: str) -> None:
        plan = one_event(await event(desk, path, "Plan"))
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"bot_name": ""}, "bot_name"),
            ({"bot_name": "x" * 256}, "bot_name"),
            ({"recording_mode": "everything"}, "recording_mode"),
            ({"timeout_config": {"silence_timeout": 5}}, "timeout_config.silence_timeout"),
            ({"callback_enabled": True}, "callback_config"),
        ]
        for fields, field in wrong:
            answer = await send(desk, path, **{**plan, **fields})
            assert error_of(answer) == (400, "FST_ERR_VALIDATION")
            assert answer.json()["message"].startswith(field)
        assert (await event(desk, path, "Plan"))["bot_scheduled"] is False
        await send(desk, path, **plan)
        for fields, field in wrong:
            answer = await change(desk, path, **{**plan, **fields})
            assert error_of(answer) == (400, "FST_ERR_VALIDATION")
            assert answer.json()["message"].startswith(field)

    async def test_what_is_not_there_is_a_404(self, desk: Desk, path: str) -> None:
        plan = await event(desk, path, "Plan")
        for ask in (send, change, cancel):
            answer = await ask(desk, path, event_id=str(uuid4()))
            assert error_of(answer) == (404, "FST_ERR_EVENT_NOT_FOUND")
            answer = await ask(desk, path, series_id=str(uuid4()), all_occurrences=True)
            assert error_of(answer) == (404, "FST_ERR_EVENT_SERIES_NOT_FOUND")
            answer = await ask(desk, f"/v2/calendars/{uuid4()}", event_id=plan["event_id"])
            assert error_of(answer) == (404, "FST_ERR_CALENDAR_NOT_FOUND")
        for ask in (change, cancel):
            for target in (one_event(plan), whole_series(plan)):
                answer = await ask(desk, path, **target)
                assert error_of(answer) == (404, "FST_ERR_CALENDAR_BOT_NOT_FOUND")


ABOUT_ONE = sorted(
    set(CALENDAR_OPERATIONS) - {"listRawCalendars", "createCalendarConnection", "listCalendars"}
)
"""Operations on a connection that is there."""


async def call(
    api: Api, client: httpx.AsyncClient, operation: str, path: str, event: Mapping[str, Any]
) -> httpx.Response:
    """Ask about a connection and an event of it, with a body that would do."""
    method, pattern = own(api.app).places[operation]
    bodies: dict[str, dict[str, Any]] = {
        "updateCalendarConnection": {},
        "createCalendarBot": {"bot_name": "Mine", **one_event(event)},
        "updateCalendarBot": {"bot_name": "Mine", **one_event(event)},
        "deleteCalendarBot": one_event(event),
    }
    url = pattern.replace("/v2/calendars/{calendar_id}", path).replace(
        "{event_id}", str(event["event_id"])
    )
    return await client.request(method, url, json=bodies.get(operation))


class TestTenants:
    """Whatever a key of one team asks about another's calendars, they are not there."""

    async def test_anothers_calendar_is_a_404_like_nobodys(self, desk: Desk, path: str) -> None:
        plan = await event(desk, path, "Plan")
        await send(desk, path, **one_event(plan))
        before = [await desk.data(path), await desk.data(f"{path}/series")]
        asked = len(desk.provider.exchanges)
        stranger = await desk.api.stranger()
        for operation in ABOUT_ONE:
            for which in (path, f"/v2/calendars/{uuid4()}"):
                answer = await call(desk.api, stranger, operation, which, plan)
                assert error_of(answer) == (404, "FST_ERR_CALENDAR_NOT_FOUND"), operation
        await desk.work()
        assert [await desk.data(path), await desk.data(f"{path}/series")] == before
        assert len(desk.provider.exchanges) == asked

    async def test_anothers_event_is_in_none_of_ones_own_calendars(
        self, desk: Desk, path: str
    ) -> None:
        plan = await event(desk, path, "Plan")
        stranger = await desk.api.stranger()
        own_path = await desk.connect(client=stranger)
        for operation in (
            "getEventDetails",
            "createCalendarBot",
            "updateCalendarBot",
            "deleteCalendarBot",
        ):
            answer = await call(desk.api, stranger, operation, own_path, plan)
            assert error_of(answer) == (404, "FST_ERR_EVENT_NOT_FOUND"), operation

    async def test_lists_hold_ones_own_only(self, desk: Desk, path: str) -> None:
        assert len(await desk.data("/v2/calendars")) == 1
        stranger = await desk.api.stranger()
        assert (await stranger.get("/v2/calendars")).json()["data"] == []

    async def test_sending_access_may_send_bots_and_nothing_else(
        self, desk: Desk, path: str
    ) -> None:
        plan = await event(desk, path, "Plan")
        client = await desk.api.client_of(desk.api.house.caller, Permission.SENDING_ACCESS)
        for operation in CALENDAR_OPERATIONS:
            answer = await call(desk.api, client, operation, path, plan)
            if operation == "createCalendarBot":
                assert answer.status_code == 201
            else:
                assert error_of(answer) == (403, "FST_ERR_FORBIDDEN"), operation

    async def test_without_a_key_there_is_nothing(self, desk: Desk, path: str) -> None:
        plan = await event(desk, path, "Plan")
        client = desk.api.client_with(None)
        for operation in CALENDAR_OPERATIONS:
            answer = await call(desk.api, client, operation, path, plan)
            assert error_of(answer) == (401, "FST_ERR_UNAUTHORIZED"), operation
