"""Idempotency keys: the same request has one effect and one answer."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from sqlalchemy import func, select, text, update

from sitin.accounts.idempotency import PERSONAL_FIELDS, REPLAYED_HEADER
from sitin.accounts.models import IdempotencyKey, Permission
from sitin.accounts.periodic import PeriodicAccountWork
from sitin.accounts.plans import Plan
from sitin.accounts.service import keys_of, revoke_key
from sitin.bots.models import Bot
from sitin.calendars.models import Connection
from sitin.kit.ids import new_id
from tests.api.changes import BOT, CHANGES, Request
from tests.api.conftest import Api
from tests.api.desk import Desk, desk, error_of, platform
from tests.api.test_audit import writing_routes
from tests.api.test_limits import hold_the_bucket
from tests.waiting import until

__all__ = ["desk", "platform"]

pytestmark = pytest.mark.db

KEY = {"Idempotency-Key": "5f1c2b9e-0d1f-4f0e-8a43-2a0f2f6f0c11"}
REUSED = (409, "FST_ERR_IDEMPOTENCY_KEY_REUSED")
IN_USE = (409, "FST_ERR_IDEMPOTENCY_KEY_IN_USE")

KEYED = [
    route.operation_id or route.name
    for route in writing_routes()
    if route.methods == {"POST"} and route.operation_id in CHANGES
]

EFFECTS = (
    "bots",
    "scheduled_bots",
    "calendar_connections",
    "calendar_events",
    "notification_messages",
    "deliveries",
    "token_entries",
    "audit_entries",
)
"""Tables whose rows count what requests have done."""


async def effects(api: Api) -> dict[str, int]:
    async with api.house.database.transaction() as session:
        return {
            table: await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0
            for table in EFFECTS
        }


async def count(api: Api, table: Any) -> int:
    async with api.house.database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


def replayed(answer: httpx.Response) -> bool:
    return bool(answer.headers.get(REPLAYED_HEADER) == "true")


async def post(
    api: Api, body: Any = BOT, path: str = "/v2/bots", key: dict[str, str] = KEY
) -> httpx.Response:
    return await api.client.post(path, json=body, headers=key)


class TestRepeated:
    @pytest.mark.parametrize("operation", KEYED)
    async def test_the_first_answer_and_no_second_effect(self, desk: Desk, operation: str) -> None:
        request = await CHANGES[operation](desk)
        first = await request.send(desk.api.client, **KEY)
        assert first.is_success, first.text
        assert not replayed(first)
        done = await effects(desk.api)
        jobs = len(desk.api.house.jobs.waiting)
        desk.api.house.clock.move(timedelta(hours=23))
        again = await request.send(desk.api.client, **KEY)
        assert replayed(again)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["content-type"] == first.headers["content-type"]
        assert await effects(desk.api) == done
        assert len(desk.api.house.jobs.waiting) == jobs

    async def test_the_same_json_written_otherwise(self, api: Api) -> None:
        first = await post(api)
        written = b'{ "meeting_url": "https://meet.google.com/abc-defg-hij",\n"bot_name":"Notes" }'
        headers = KEY | {"content-type": "application/json"}
        again = await api.client.post("/v2/bots", content=written, headers=headers)
        assert again.content == first.content
        assert replayed(again)

    async def test_without_a_key_each_request_is_one_of_its_own(self, api: Api) -> None:
        answers = [await post(api, key={}) for _ in range(2)]
        assert len({answer.json()["data"]["bot_id"] for answer in answers}) == 2
        assert not any(replayed(answer) for answer in answers)
        assert await count(api, IdempotencyKey) == 0

    async def test_a_key_belongs_to_a_team(self, api: Api) -> None:
        stranger = await api.stranger()
        ours = await post(api)
        theirs = await stranger.post("/v2/bots", json=BOT, headers=KEY)
        assert theirs.status_code == 201
        assert not replayed(theirs)
        assert theirs.content != ours.content

    async def test_any_key_of_the_team_gets_the_answer(self, api: Api) -> None:
        first = await post(api)
        sending = await api.client_of(api.house.caller, Permission.SENDING_ACCESS)
        assert (await sending.post("/v2/bots", json=BOT, headers=KEY)).content == first.content

    async def test_a_time_that_is_over_by_now(self, api: Api) -> None:
        body = {**BOT, "join_at": api.later(timedelta(hours=1))}
        first = await post(api, body, "/v2/bots/scheduled")
        api.house.clock.move(timedelta(hours=2))
        assert (await post(api, body, "/v2/bots/scheduled")).content == first.content

    async def test_after_a_day_the_key_is_a_new_one(self, api: Api) -> None:
        first = await post(api)
        api.house.clock.move(timedelta(hours=24))
        second = await post(api, {**BOT, "bot_name": "Other"})
        assert second.status_code == 201
        assert not replayed(second)
        assert second.content != first.content
        assert (await post(api, {**BOT, "bot_name": "Other"})).content == second.content

    async def test_a_repeated_request_is_answered_by_the_provider_once(self, desk: Desk) -> None:
        request = await CHANGES["createCalendarConnection"](desk)
        first = await request.send(desk.api.client, **KEY)
        asked = len(desk.provider.exchanges)
        again = await request.send(desk.api.client, **KEY)
        assert again.content == first.content
        assert len(desk.provider.exchanges) == asked


class TestOther:
    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/v2/bots", {**BOT, "bot_name": "Other"}),
            ("/v2/bots", {**BOT, "extra": {}}),
            ("/v2/bots/batch", [BOT]),
            ("/v2/bots/batch", BOT),
            ("/v2/bots/01a2223f-6178-73d7-865b-603baad14407/leave", None),
        ],
    )
    async def test_a_key_that_was_sent_with_something_else(
        self, api: Api, path: str, body: Any
    ) -> None:
        first = await post(api)
        answer = await Request("POST", path, body).send(api.client, **KEY)
        assert error_of(answer) == REUSED
        assert "Idempotency-Key" in answer.json()["message"]
        assert await count(api, Bot) == 1
        assert (await post(api)).content == first.content

    async def test_another_bot_in_the_path(self, desk: Desk) -> None:
        request = await CHANGES["resendFinalWebhook"](desk)
        other = await desk.api.create()
        assert (await request.send(desk.api.client, **KEY)).is_success
        answer = await desk.api.client.post(f"/v2/bots/{other}/resend-webhook", headers=KEY)
        assert error_of(answer) == REUSED


class TestErrors:
    async def test_one_of_validation_is_not_kept(self, api: Api) -> None:
        for body in ({}, {**BOT, "meeting_url": "https://example.com"}):
            assert (await post(api, body)).status_code == 400
        assert await count(api, IdempotencyKey) == 0
        assert (await post(api)).status_code == 201

    async def test_a_refusal_is_kept(self, api: Api) -> None:
        path = f"/v2/bots/{new_id()}/leave"
        first = await api.client.post(path, headers=KEY)
        assert first.status_code == 404
        assert not replayed(first)
        again = await api.client.post(path, headers=KEY)
        assert (again.status_code, again.content) == (404, first.content)
        assert replayed(again)

    async def test_a_refusal_is_kept_though_nothing_stands_in_the_way_any_more(
        self, api: Api
    ) -> None:
        caller = await api.house.team(Plan(name="poor"), tokens="0.1")
        client = await api.client_of(caller)
        first = await client.post("/v2/bots", json=BOT, headers=KEY)
        assert first.status_code == 402
        async with api.house.database.transaction() as session:
            await api.house.ledger.grant(session, caller.team_id, Decimal(1))
        again = await client.post("/v2/bots", json=BOT, headers=KEY)
        assert (again.status_code, again.content) == (402, first.content)
        other = await client.post("/v2/bots", json=BOT, headers={"Idempotency-Key": "another"})
        assert other.status_code == 201

    async def test_a_provider_that_refuses(self, desk: Desk) -> None:
        body = {**desk.credentials, "raw_calendar_id": "primary", "oauth_refresh_token": "wrong"}
        first, again = [await post(desk.api, body, "/v2/calendars") for _ in range(2)]
        assert first.status_code == 401
        assert (again.status_code, again.content) == (401, first.content)
        assert replayed(again)

    async def test_a_cap_is_not_kept(self, api: Api) -> None:
        plan = Plan(name="one a day", bots_per_day=1, counts_tokens=False)
        client = await api.client_of(await api.house.team(plan))
        await client.post("/v2/bots", json=BOT)
        for _ in range(2):
            refused = await client.post("/v2/bots", json=BOT, headers=KEY)
            assert (refused.status_code, replayed(refused)) == (429, False)
        api.house.clock.move(timedelta(hours=24))
        assert (await client.post("/v2/bots", json=BOT, headers=KEY)).status_code == 201

    async def test_a_fault_is_not_kept(self, api: Api) -> None:
        creation, api.app.state.bot_creation = api.app.state.bot_creation, None
        assert (await post(api)).status_code == 500
        api.app.state.bot_creation = creation
        assert (await post(api)).status_code == 201

    async def test_a_provider_that_is_away_is_not_kept(self, desk: Desk) -> None:
        request = await CHANGES["createCalendarConnection"](desk)
        desk.provider.fault("html", "token", times=1)
        assert (await request.send(desk.api.client, **KEY)).status_code == 500
        assert (await request.send(desk.api.client, **KEY)).status_code == 201


class TestBefore:
    """What is looked at before the key is."""

    async def test_a_revoked_api_key(self, api: Api) -> None:
        await post(api)
        async with api.house.database.transaction() as session:
            for key in await keys_of(session, api.house.caller.team_id):
                await revoke_key(session, key.id, now=api.house.clock.now())
        assert (await post(api)).status_code == 401

    async def test_a_permission(self, api: Api) -> None:
        bot_id = await api.create()
        path = f"/v2/bots/{bot_id}/leave"
        await api.client.post(path, headers=KEY)
        sending = await api.client_of(api.house.caller, Permission.SENDING_ACCESS)
        assert (await sending.post(path, headers=KEY)).status_code == 403

    async def test_how_often_a_team_writes(self, api: Api) -> None:
        plan = Plan(name="two a second", writes_per_second=2, counts_tokens=False)
        client = await api.client_of(await api.house.team(plan))
        first = await client.post("/v2/bots", json=BOT, headers=KEY)
        await hold_the_bucket(api)
        again = await client.post("/v2/bots", json=BOT, headers=KEY)
        assert replayed(again)
        left = [answer.headers["x-ratelimit-remaining"] for answer in (first, again)]
        assert left == ["1", "0"]
        refused = await client.post("/v2/bots", json=BOT, headers=KEY)
        assert error_of(refused) == (429, "FST_ERR_TOO_MANY_REQUESTS")


MALFORMED: dict[str, list[tuple[bytes, bytes]]] = {
    "empty": [(b"idempotency-key", b"")],
    "spaces": [(b"idempotency-key", b"   ")],
    "too long": [(b"idempotency-key", b"k" * 256)],
    "tab": [(b"idempotency-key", b"a\tb")],
    "control character": [(b"idempotency-key", b"a\x01b")],
    "delete": [(b"idempotency-key", b"a\x7fb")],
    "no ASCII": [(b"idempotency-key", "schlüssel".encode())],
    "twice": [(b"idempotency-key", b"a"), (b"idempotency-key", b"b")],
    "twice the same": [(b"idempotency-key", b"a"), (b"idempotency-key", b"a")],
}


class TestHeader:
    @pytest.mark.parametrize("name", MALFORMED)
    async def test_one_that_is_no_key(self, api: Api, name: str) -> None:
        """Past the HTTP server, which refuses some of them itself."""
        key = [(b"x-meeting-baas-api-key", api.client.headers["x-meeting-baas-api-key"].encode())]
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(api.app), base_url="http://sitin"
        ) as client:
            headers = [*key, *MALFORMED[name]]
            answer = await client.post("/v2/bots", json=BOT, headers=headers)
            assert error_of(answer) == (400, "FST_ERR_VALIDATION")
            assert answer.json()["message"].startswith("Idempotency-Key: ")
            assert (await client.get("/v2/bots", headers=headers)).status_code == 200
            assert (await client.post("/v2/bots", json=BOT, headers=key)).status_code == 201
        assert await count(api, Bot) == 1

    @pytest.mark.parametrize("key", ["k", "k" * 255, "a b", '"quoted"', "~!@#$%^&*()"])
    async def test_one_that_is_a_key(self, api: Api, key: str) -> None:
        first, again = [await post(api, key={"idempotency-key": key}) for _ in range(2)]
        assert first.status_code == 201
        assert (again.content, replayed(again)) == (first.content, True)

    async def test_where_nothing_is_created_it_means_nothing(self, desk: Desk) -> None:
        assert (await desk.post("/v2/calendars/list-raw")).status_code == 200
        bot_id = await desk.api.schedule()
        client = desk.api.client
        for name in ("Other", "Third"):
            answer = await client.patch(
                f"/v2/bots/scheduled/{bot_id}", json={"bot_name": name}, headers=KEY
            )
            assert answer.status_code == 200
        assert (await desk.data(f"/v2/bots/scheduled/{bot_id}"))["bot_name"] == "Third"
        assert await count(desk.api, IdempotencyKey) == 0


class TestAtOnce:
    async def test_twenty_have_one_effect(self, api: Api) -> None:
        answers = await asyncio.gather(*(post(api) for _ in range(20)))
        good = [answer for answer in answers if answer.status_code == 201]
        assert len([answer for answer in good if not replayed(answer)]) == 1
        assert len({answer.content for answer in good}) == 1
        for answer in answers:
            if answer not in good:
                assert error_of(answer) == IN_USE
        assert await count(api, Bot) == 1
        assert (await post(api)).content == good[0].content

    async def test_one_that_comes_meanwhile_is_told_to_wait(self, api: Api) -> None:
        async with api.house.database.transaction() as session:
            await session.execute(text("LOCK TABLE bots IN SHARE MODE"))
            first = asyncio.create_task(post(api))
            await until(lambda: somebody_waits(api))
            second = await post(api)
            assert error_of(second) == IN_USE
            assert second.headers["retry-after"] == "1"
            assert "Idempotency-Key" in second.json()["message"]
            other = asyncio.create_task(post(api, key={"Idempotency-Key": "another"}))
        assert (await first).status_code == 201
        assert (await other).status_code == 201
        again = await post(api)
        assert (again.content, replayed(again)) == ((await first).content, True)
        assert await count(api, Bot) == 2

    async def test_a_batch_that_comes_meanwhile(self, api: Api) -> None:
        """Whose items each catch what goes wrong with them."""
        async with api.house.database.transaction() as session:
            await session.execute(text("LOCK TABLE bots IN SHARE MODE"))
            first = asyncio.create_task(post(api, [BOT] * 3, "/v2/bots/batch"))
            await until(lambda: somebody_waits(api))
            assert error_of(await post(api, [BOT] * 3, "/v2/bots/batch")) == IN_USE
        assert (await first).status_code == 201
        assert await count(api, Bot) == 3

    async def test_both_ask_the_provider_and_one_connects(self, desk: Desk) -> None:
        request = await CHANGES["createCalendarConnection"](desk)
        gate = desk.provider.hold("token")
        tasks = [asyncio.create_task(request.send(desk.api.client, **KEY)) for _ in range(2)]
        await gate.reached(2)
        desk.provider.faults.clear()
        gate.open()
        answers = await asyncio.gather(*tasks)
        good = [answer for answer in answers if answer.status_code == 201]
        assert len({answer.content for answer in good}) == 1
        assert all(error_of(answer) == IN_USE for answer in answers if answer not in good)
        assert await count(desk.api, Connection) == 1

    async def test_a_provider_that_takes_its_time_holds_no_connection(self, desk: Desk) -> None:
        request = await CHANGES["createCalendarConnection"](desk)
        gate = desk.provider.hold("token")
        task = asyncio.create_task(request.send(desk.api.client, **KEY))
        await gate.reached()
        async with desk.api.house.database.transaction() as session:
            idle = await session.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
                )
            )
        assert idle == 0
        desk.provider.faults.clear()
        gate.open()
        assert (await task).status_code == 201


async def somebody_waits(api: Api) -> bool:
    """Whether somebody waits for another's lock in the database."""
    async with api.house.database.transaction() as session:
        waiting = await session.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
    return bool(waiting)


class TestAtRest:
    async def test_nothing_is_stored_in_the_clear(self, desk: Desk) -> None:
        api = desk.api
        secrets = {"url": "https://example.com/call-me", "secret": "callback-secret"}
        body = [{**BOT, "extra": {"who": "Ada"}, "callback_enabled": True}]
        body[0] |= {"callback_config": secrets}
        await post(api, body, "/v2/bots/batch")
        request = await CHANGES["createCalendarConnection"](desk)
        await request.send(api.client, **{"Idempotency-Key": "ada@example.com"})
        async with api.house.database.transaction() as session:
            stored = await session.scalar(text("SELECT jsonb_agg(k)::text FROM idempotency_keys k"))
            answers = [
                api.house.keyring.decrypt(answer)
                for answer in await session.scalars(select(IdempotencyKey.response))
            ]
        assert len(answers) == 2
        words = ["Ada", "ada@", "call-me", "callback-secret", "bot_id", KEY["Idempotency-Key"]]
        assert not any(word in stored for word in words)
        secret = {desk.credentials[one] for one in ("oauth_client_secret", "oauth_refresh_token")}
        for word in {"callback-secret", *secret}:
            assert not any(word in answer for answer in answers)

    async def test_deleted_data_is_not_in_answers_any_more(self, api: Api) -> None:
        items = [{**BOT, "extra": {"who": name}} for name in ("Ada", "Grace")]
        first = (await post(api, items, "/v2/bots/batch")).json()
        ada, grace = first["data"]
        deleted = await api.client.delete(f"/v2/bots/{ada['bot_id']}/delete-data")
        assert deleted.status_code == 200
        again = await post(api, items, "/v2/bots/batch")
        assert replayed(again)
        assert again.json() == {**first, "data": [{**ada, "extra": None}, grace]}
        assert await count(api, Bot) == 2
        async with api.house.database.transaction() as session:
            (answer,) = await session.scalars(select(IdempotencyKey.response))
        assert "Ada" not in api.house.keyring.decrypt(answer)
        assert "Grace" in api.house.keyring.decrypt(answer)

    async def test_deleted_data_of_a_scheduled_bot(self, api: Api) -> None:
        items = [{**BOT, "join_at": api.later(timedelta(hours=1)), "extra": {"who": "Ada"}}]
        first = (await post(api, items, "/v2/bots/scheduled/batch")).json()
        bot_id = first["data"][0]["bot_id"]
        assert (await api.client.delete(f"/v2/bots/scheduled/{bot_id}")).status_code == 200
        assert (await api.client.delete(f"/v2/bots/{bot_id}/delete-data")).status_code == 200
        again = await post(api, items, "/v2/bots/scheduled/batch")
        assert again.json()["data"] == [{**first["data"][0], "extra": None}]

    async def test_a_calendar_that_is_disconnected(self, desk: Desk) -> None:
        request = await CHANGES["createCalendarConnection"](desk)
        first = (await request.send(desk.api.client, **KEY)).json()
        assert first["data"]["account_email"] == "ada@example.com"
        path = f"/v2/calendars/{first['data']['calendar_id']}"
        assert (await desk.api.client.delete(path)).status_code == 200
        again = await request.send(desk.api.client, **KEY)
        assert again.status_code == 201
        assert again.json() == {**first, "data": {**first["data"], "account_email": ""}}
        assert await count(desk.api, Connection) == 0

    async def test_answers_that_no_key_reads_do_not_keep_data_from_deletion(self, api: Api) -> None:
        items = [{**BOT, "extra": {"who": "Ada"}}]
        (made,) = (await post(api, items, "/v2/bots/batch")).json()["data"]
        async with api.house.database.transaction() as session:
            await session.execute(update(IdempotencyKey).values(response="of a key that is gone"))
        deleted = await api.client.delete(f"/v2/bots/{made['bot_id']}/delete-data")
        assert deleted.status_code == 200
        assert await count(api, IdempotencyKey) == 0

    async def test_expired_answers_are_deleted(self, api: Api) -> None:
        house = api.house
        work = PeriodicAccountWork(
            database=house.database,
            idempotency=house.idempotency,
            clock=house.clock,
            audit_retention=timedelta(days=90),
        )
        await post(api)
        house.clock.move(timedelta(hours=23))
        await post(api, key={"Idempotency-Key": "later"})
        await work.prune_idempotency_keys()
        assert await count(api, IdempotencyKey) == 2
        house.clock.move(timedelta(hours=2))
        await work.prune_idempotency_keys()
        assert await count(api, IdempotencyKey) == 1
        assert replayed(await post(api, key={"Idempotency-Key": "later"}))


def test_every_field_of_an_answer_is_known_as_personal_or_not() -> None:
    """A field that is added to an answer has to be put into one of the two lists."""
    routes = [route for route in writing_routes() if route.operation_id in KEYED]
    fields = {name for route in routes for name in _fields(route.response_model)}
    assert fields == set(PERSONAL_FIELDS) | NOT_PERSONAL


NOT_PERSONAL = {
    "success",
    "data",
    "errors",
    "index",
    "bot_id",
    "event_id",
    "calendar_id",
    "calendar_platform",
    "status",
    "created_at",
    "resubscribed_at",
    "code",
    "message",
    "details",
}
"""``message`` and ``details`` are sentences of this service about the request."""


def _fields(model: Any) -> set[str]:
    """The names of a model's fields, and of those within them."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        found.add(name)
        waiting = [field.annotation]
        while waiting:
            kind = waiting.pop()
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= _fields(kind)
            waiting.extend(getattr(kind, "__args__", ()))
    return found
