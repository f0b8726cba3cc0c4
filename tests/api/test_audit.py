"""The audit log of the API: an entry for each change, in its transaction, and no word too many."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from sitin.accounts import audit
from sitin.accounts.audit import AuditFilter
from sitin.accounts.models import ActorKind, ApiKey, AuditEntry
from sitin.accounts.periodic import PeriodicAccountWork
from sitin.accounts.plans import Plan
from sitin.accounts.routing import KeyedRoute
from sitin.accounts.service import KEY_HEADER
from sitin.api.app import ROUTERS
from sitin.kit.ids import new_id
from tests.api.changes import BOT, CHANGES
from tests.api.conftest import Api
from tests.api.desk import Desk, desk, platform
from tests.statements import asked_of

__all__ = ["desk", "platform"]

pytestmark = pytest.mark.db

WITHOUT_KEY = {"google", "microsoft"}
"""Where calendar providers push their notices to: nobody's key, and nothing that a team changed."""
READ_ONLY = {"listRawCalendars"}


def writing_routes() -> list[APIRoute]:
    return [
        route
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and not (route.methods or set()) <= {"GET", "HEAD"}
    ]


def test_every_writing_route_is_audited_and_tried_here() -> None:
    by_name = {route.operation_id or route.name: route for route in writing_routes()}
    assert by_name.keys() - READ_ONLY - WITHOUT_KEY == CHANGES.keys()
    for operation in CHANGES:
        route = by_name[operation]
        assert isinstance(route, KeyedRoute)
        assert route.writes
    for operation in READ_ONLY:
        route = by_name[operation]
        assert isinstance(route, KeyedRoute)
        assert not route.writes


async def entries(api: Api, **conditions: object) -> Sequence[AuditEntry]:
    """Newest first."""
    async with api.house.database.transaction() as session:
        which = AuditFilter(**conditions)  # type: ignore[arg-type]
        return await audit.entries(session, which, limit=1000)


async def entries_since(api: Api, before: Sequence[AuditEntry]) -> list[AuditEntry]:
    known = {entry.id for entry in before}
    return [entry for entry in await entries(api) if entry.id not in known]


@pytest.mark.parametrize("operation", CHANGES)
async def test_a_change_has_an_entry(desk: Desk, operation: str) -> None:
    api = desk.api
    request = await CHANGES[operation](desk)
    before = await entries(api)
    answer = await request.send(api.client, **{"x-request-id": "audited-1"})
    assert answer.is_success, answer.text
    assert answer.headers["x-request-id"] == "audited-1"
    (entry,) = await entries_since(api, before)
    assert (entry.action, entry.outcome) == (operation, "succeeded")
    assert entry.team_id == api.house.caller.team_id
    async with api.house.database.transaction() as session:
        key = await session.get(ApiKey, UUID(entry.actor))
    assert key is not None
    assert key.team_id == entry.team_id
    assert (entry.actor_kind, entry.client) == (ActorKind.API_KEY, "127.0.0.1")
    assert entry.request_id == "audited-1"
    ids = {str(one) for one in entry.object_ids}
    assert ids
    assert set(request.ids) <= ids
    for one in ids - set(request.ids):
        assert one in answer.text


async def test_what_changes_nothing_has_no_entry(desk: Desk) -> None:
    client = desk.api.client
    bot_id = await desk.api.create()
    before = await entries(desk.api)
    assert (await desk.post("/v2/calendars/list-raw")).status_code == 200
    for path in ("/v2/bots", f"/v2/bots/{bot_id}", "/v2/bots/scheduled", "/v2/calendars"):
        assert (await client.get(path)).status_code == 200
    assert (await client.post("/v2/bots", json={})).status_code == 400
    assert (await client.post("/v2/bots", content=b"no json")).status_code == 400
    unknown = {**BOT, "meeting_url": "https://example.com"}
    assert (await client.post("/v2/bots", json=unknown)).status_code == 400
    stranger = desk.api.client_with("nobody's")
    assert (await stranger.post("/v2/bots", json=BOT)).status_code == 401
    assert await entries_since(desk.api, before) == []


async def test_a_refused_change_has_its_code(api: Api) -> None:
    bot_id = await api.create()
    nobody = str(new_id())
    refused = {
        f"/v2/bots/{nobody}/leave": "FST_ERR_BOT_NOT_FOUND_BY_ID",
        f"/v2/bots/{bot_id}/leave": "FST_ERR_BOT_STATUS",
    }
    for path, code in refused.items():
        answer = await api.client.post(path)
        assert answer.json()["code"] == code
        entry = (await entries(api))[0]
        assert (entry.action, entry.outcome) == ("leaveBot", code)
        assert [str(one) for one in entry.object_ids] == [path.split("/")[3]]
        assert entry.request_id == answer.headers["x-request-id"]
    api.app.state.bot_creation = None
    assert (await api.client.post("/v2/bots", json=BOT)).status_code == 500
    broken = (await entries(api))[0]
    assert (broken.action, broken.outcome) == ("createBot", "FST_ERR_INTERNAL")
    assert broken.object_ids == []


async def test_a_change_that_the_plan_refuses_has_its_code(api: Api) -> None:
    caller = await api.house.team(Plan(name="poor"), tokens="0.1")
    client = await api.client_of(caller)
    assert (await client.post("/v2/bots", json=BOT)).status_code == 402
    (entry,) = await entries(api, team_id=caller.team_id)
    assert entry.outcome == "FST_ERR_INSUFFICIENT_TOKENS"


async def test_a_batch_is_one_entry_with_what_it_made(api: Api) -> None:
    wrong = {"bot_name": "Notes", "meeting_url": "https://example.com"}
    partial = await api.client.post("/v2/bots/batch", json=[BOT, wrong, BOT])
    made = [item["bot_id"] for item in partial.json()["data"]]
    assert len(made) == 2
    failed = await api.client.post("/v2/bots/batch", json=[wrong])
    assert failed.status_code == 201
    after, before = await entries(api)
    assert (before.outcome, [str(one) for one in before.object_ids]) == ("partial", made)
    assert (after.outcome, after.object_ids) == ("failed", [])


async def test_no_change_without_its_entry(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = audit.record

    async def break_down(*given: Any, **named: Any) -> None:
        if given[1].outcome == audit.SUCCEEDED:
            raise RuntimeError("the log is broken")
        await recorded(*given, **named)

    monkeypatch.setattr(audit, "record", break_down)
    assert (await api.client.post("/v2/bots", json=BOT)).status_code == 500
    assert (await api.client.get("/v2/bots")).json()["data"] == []
    assert [entry.outcome for entry in await entries(api)] == ["FST_ERR_INTERNAL"]


async def test_entries_hold_ids_and_codes_only(desk: Desk) -> None:
    api = desk.api
    personal = {
        "bot_name": "Ada Lovelace",
        "extra": {"patient": "Grace Hopper"},
        "callback_enabled": True,
        "callback_config": {"url": "https://example.com/call-me", "secret": "callback-secret"},
    }
    await api.client.post("/v2/bots", json=BOT | personal)
    await api.client.post("/v2/bots/batch", json=[BOT | personal, personal])
    await desk.connect()
    async with api.house.database.transaction() as session:
        stored = await session.scalar(text("SELECT jsonb_agg(a)::text FROM audit_entries a"))
    assert "createCalendarConnection" in stored
    secrets = [*desk.credentials.values(), api.client.headers[KEY_HEADER], "ada@example.com"]
    words = ["Ada", "Grace", "patient", "call-me", "callback-secret", "meet.google.com"]
    for secret in {*secrets, *words} - {desk.platform.value}:
        assert secret not in stored


async def test_nobody_alters_an_entry(api: Api) -> None:
    await api.create()
    for statement in ("UPDATE audit_entries SET actor = 'nobody'", "TRUNCATE audit_entries"):
        with pytest.raises(DBAPIError, match="only ever added to"):
            async with api.house.database.transaction() as session:
                await session.execute(text(statement))


async def test_old_entries_are_deleted(api: Api) -> None:
    house = api.house
    work = PeriodicAccountWork(
        database=house.database,
        idempotency=house.idempotency,
        clock=house.clock,
        audit_retention=timedelta(days=90),
    )
    await api.create()
    house.clock.move(timedelta(days=89))
    await api.create()
    await work.prune_audit_log()
    assert len(await entries(api)) == 2
    house.clock.move(timedelta(days=2))
    await work.prune_audit_log()
    assert len(await entries(api)) == 1
    assert {one.name for one in work.periodic()} == {"prune_audit_log", "prune_idempotency_keys"}


async def test_more_old_entries_than_one_transaction_deletes(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitin.accounts.periodic.BATCH", 2)
    house = api.house
    for _ in range(5):
        await api.create()
    work = PeriodicAccountWork(
        database=house.database,
        idempotency=house.idempotency,
        clock=house.clock,
        audit_retention=timedelta(days=1),
    )
    house.clock.move(timedelta(days=2))
    await work.prune_audit_log()
    assert await entries(api) == []


async def test_filters(api: Api) -> None:
    first, second = await api.create(), await api.create()
    middle = (await entries(api))[0].at
    await api.client.post(f"/v2/bots/{first}/leave")
    stranger = await api.house.team()
    await (await api.client_of(stranger)).post("/v2/bots", json=BOT)
    theirs, left, *created = await entries(api)
    assert [one.id for one in await entries(api, team_id=stranger.team_id)] == [theirs.id]
    assert [one.id for one in await entries(api, actor=theirs.actor)] == [theirs.id]
    assert [one.id for one in await entries(api, action="leaveBot")] == [left.id]
    assert [one.id for one in await entries(api, object_id=UUID(first))] == [left.id, created[1].id]
    assert [one.id for one in await entries(api, object_id=UUID(second))] == [created[0].id]
    assert [one.id for one in await entries(api, since=middle)] == [
        theirs.id,
        left.id,
        created[0].id,
    ]
    assert [one.id for one in await entries(api, until=middle)] == [created[1].id]


@pytest.mark.parametrize(
    "given", ["", "a b", "x" * 65, "ada@example.com", "<script>", "äöü".encode().decode("latin-1")]
)
async def test_an_id_that_cannot_be_kept_is_replaced(api: Api, given: str) -> None:
    headers = {b"x-request-id": given.encode("latin-1")}
    answer = await api.client.post("/v2/bots", json=BOT, headers=headers)
    entry = (await entries(api))[0]
    assert entry.request_id == answer.headers["x-request-id"]
    assert str(UUID(entry.request_id)) == entry.request_id


async def test_every_answer_has_an_id(api: Api) -> None:
    client = api.client
    headers = {"x-request-id": "mine.1_2-3"}
    for answer in (
        await client.get("/v2/bots", headers=headers),
        await client.post("/v2/bots", json={}, headers=headers),
        await api.client_with(None).get("/v2/bots", headers=headers),
        await client.get(f"/v2/bots/{new_id()}", headers=headers),
    ):
        assert answer.headers["x-request-id"] == "mine.1_2-3"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [("203.0.113.9", "203.0.113.9"), ("2001:db8::1", "2001:db8::1"), ("nowhere", None)],
)
async def test_the_client_behind_a_proxy(api: Api, forwarded: str, client: str | None) -> None:
    headers = {"x-forwarded-for": forwarded, "x-forwarded-proto": "https"}
    assert (await api.client.post("/v2/bots", json=BOT, headers=headers)).status_code == 201
    assert (await entries(api))[0].client == client


async def test_an_entry_costs_one_statement(api: Api) -> None:
    await api.create()
    with asked_of(api.house.database) as asked:
        await api.create()
    statements = [statement for statement, _ in asked]
    assert len([one for one in statements if "audit_entries" in one]) == 1
    assert not any("idempotency" in one or "advisory" in one for one in statements)
