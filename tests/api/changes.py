"""A request that succeeds for every operation that changes something. For tests of all of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from sitin.contract.codes import BotStatus
from tests.api.conftest import MEET_URL
from tests.api.desk import Desk
from tests.api.test_reports import CALLBACK, ended

BOT = {"bot_name": "Notes", "meeting_url": MEET_URL}


@dataclass(frozen=True)
class Request:
    """A request, and the ids that it names itself."""

    method: str
    path: str
    body: Any = None
    ids: tuple[str, ...] = ()

    async def send(self, client: httpx.AsyncClient, **headers: str) -> httpx.Response:
        """Send it; a body of ``None`` is none."""
        content = {} if self.body is None else {"json": self.body}
        return await client.request(self.method, self.path, headers=headers, **content)


def _later(desk: Desk) -> dict[str, Any]:
    return {**BOT, "join_at": desk.api.later(timedelta(hours=1))}


async def _create(desk: Desk) -> Request:
    return Request("POST", "/v2/bots", {**BOT, "extra": {"deal": 42}})


async def _batch(desk: Desk) -> Request:
    return Request("POST", "/v2/bots/batch", [{**BOT, "extra": {"deal": n}} for n in range(3)])


async def _schedule(desk: Desk) -> Request:
    return Request("POST", "/v2/bots/scheduled", _later(desk))


async def _schedule_batch(desk: Desk) -> Request:
    return Request("POST", "/v2/bots/scheduled/batch", [_later(desk)] * 2)


async def _leave(desk: Desk) -> Request:
    bot_id = await desk.api.create()
    house = desk.api.house
    house.work(host := house.host())
    await (await host.the(UUID(bot_id))).join_and_record()
    await house.reaches(UUID(bot_id), BotStatus.IN_CALL_RECORDING)
    return Request("POST", f"/v2/bots/{bot_id}/leave", ids=(bot_id,))


async def _delete_data(desk: Desk) -> Request:
    bot_id = await desk.api.create()
    return Request("DELETE", f"/v2/bots/{bot_id}/delete-data", ids=(bot_id,))


async def _resend(desk: Desk) -> Request:
    bot_id = await ended(desk.api)
    return Request("POST", f"/v2/bots/{bot_id}/resend-webhook", ids=(bot_id,))


async def _retry(desk: Desk) -> Request:
    bot_id = await ended(desk.api, transcription_enabled=True)
    return Request("POST", f"/v2/bots/{bot_id}/retry-callback", CALLBACK, ids=(bot_id,))


async def _reschedule(desk: Desk) -> Request:
    bot_id = await desk.api.schedule()
    return Request("PATCH", f"/v2/bots/scheduled/{bot_id}", {"bot_name": "Other"}, ids=(bot_id,))


async def _cancel(desk: Desk) -> Request:
    bot_id = await desk.api.schedule()
    return Request("DELETE", f"/v2/bots/scheduled/{bot_id}", ids=(bot_id,))


async def _connect(desk: Desk) -> Request:
    return Request("POST", "/v2/calendars", {**desk.credentials, "raw_calendar_id": "primary"})


async def _reconnect(desk: Desk) -> Request:
    path = await desk.connect()
    secret = {"oauth_client_secret": desk.credentials["oauth_client_secret"]}
    return Request("PATCH", path, secret, ids=(_id(path),))


async def _disconnect(desk: Desk) -> Request:
    path = await desk.connect()
    return Request("DELETE", path, ids=(_id(path),))


async def _sync(desk: Desk) -> Request:
    path = await desk.connect()
    return Request("POST", f"{path}/sync", ids=(_id(path),))


async def _resubscribe(desk: Desk) -> Request:
    path = await desk.connect()
    return Request("POST", f"{path}/resubscribe", ids=(_id(path),))


async def _event_bot(desk: Desk) -> Request:
    await desk.meetings("Plan")
    path = await desk.connect()
    (event,) = await desk.data(f"{path}/events")
    body = {**BOT, "event_id": event["event_id"], "all_occurrences": False}
    del body["meeting_url"]
    return Request("POST", f"{path}/bots", body, ids=(_id(path), event["event_id"]))


async def _change_event_bot(desk: Desk) -> Request:
    created = await _event_bot(desk)
    (await created.send(desk.api.client)).raise_for_status()
    target = {name: created.body[name] for name in ("event_id", "all_occurrences")}
    return Request("PATCH", created.path, {**target, "bot_name": "Other"}, created.ids)


async def _cancel_event_bot(desk: Desk) -> Request:
    created = await _event_bot(desk)
    (await created.send(desk.api.client)).raise_for_status()
    target = {name: created.body[name] for name in ("event_id", "all_occurrences")}
    return Request("DELETE", created.path, target, created.ids)


def _id(path: str) -> str:
    return path.rpartition("/")[2]


CHANGES: dict[str, Callable[[Desk], Awaitable[Request]]] = {
    "createBot": _create,
    "batchCreateBots": _batch,
    "leaveBot": _leave,
    "deleteBotData": _delete_data,
    "resendFinalWebhook": _resend,
    "retryCallback": _retry,
    "createScheduledBot": _schedule,
    "batchCreateScheduledBots": _schedule_batch,
    "updateScheduledBot": _reschedule,
    "deleteScheduledBot": _cancel,
    "createCalendarConnection": _connect,
    "updateCalendarConnection": _reconnect,
    "deleteCalendarConnection": _disconnect,
    "syncCalendar": _sync,
    "resubscribeCalendar": _resubscribe,
    "createCalendarBot": _event_bot,
    "updateCalendarBot": _change_event_bot,
    "deleteCalendarBot": _cancel_event_bot,
}
"""By operation id, whatever each request needs to be there first."""
