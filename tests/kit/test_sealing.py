"""Secrets are encrypted anew beside whatever else works on their rows."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table, Text, Uuid, insert, select, update

from sitin.kit import sealing
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.database import Database
from sitin.kit.ids import new_id
from sitin.kit.sealing import Renewed, SealedFields, SealedText, renew_secrets
from tests.waiting import until

pytestmark = pytest.mark.db

OLD, NEW = new_key(), new_key()
BOTH = Keyring([NEW, OLD])

METADATA = MetaData()
THINGS = Table(
    "things",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("secret", SealedText),
    Column("object", SealedFields("token", "other")),
    Column("plain", Text),
)


@pytest.fixture
async def things(database: Database) -> Database:
    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    return database


async def add(database: Database, *rows: dict[str, Any]) -> list[Any]:
    keys = [new_id() for _ in rows]
    nothing = dict.fromkeys(("secret", "object", "plain"))
    async with database.transaction() as session:
        await session.execute(
            insert(THINGS),
            [{"id": key, **nothing, **row} for key, row in zip(keys, rows, strict=True)],
        )
    return keys


async def rows(database: Database) -> list[Any]:
    async with database.transaction() as session:
        return list((await session.execute(select(THINGS).order_by(THINGS.c.id))).all())


def old(text: str) -> str:
    return Keyring([OLD]).encrypt(text)


async def test_more_than_a_batch_and_nothing_but_the_secrets(things: Database) -> None:
    count = 2 * sealing._BATCH + 1
    plain = old("not sealed here")
    await add(
        things,
        *({"secret": old(str(number)), "plain": plain} for number in range(count)),
        {"object": {"token": old("a"), "n": 0.1, "kept": plain, "other": None}},
        {"object": {"other": old("b")}},
        {},
    )
    assert await renew_secrets(things, BOTH, METADATA) == Renewed(renewed=count + 2)
    *many, first, second, third = await rows(things)
    new = Keyring([NEW])
    assert [new.decrypt(row.secret) for row in many] == [str(number) for number in range(count)]
    assert {row.plain for row in many} == {plain}
    assert new.decrypt(first.object.pop("token")) == "a"
    assert first.object == {"n": 0.1, "kept": plain, "other": None}
    assert new.decrypt(second.object.pop("other")) == "b"
    assert (second.object, third.secret, third.object) == ({}, None, None)
    assert await renew_secrets(things, BOTH, METADATA) == Renewed()


async def test_what_is_written_meanwhile_stays(things: Database) -> None:
    """Whoever holds a row is not waited for, and what they write is what is renewed."""
    held, free = await add(things, {"secret": old("before")}, {"secret": old("free")})
    async with things.transaction() as session:
        await session.execute(update(THINGS).where(THINGS.c.id == held).values(secret=old("after")))
        renewing = asyncio.create_task(renew_secrets(things, BOTH, METADATA))

        async def the_other_is_renewed() -> bool:
            (secret,) = [row.secret for row in await rows(things) if row.id == free]
            return BOTH.renewed(secret) is None

        await until(the_other_is_renewed)
        assert not renewing.done()
    assert await renewing == Renewed(renewed=2)
    new = Keyring([NEW])
    assert [new.decrypt(row.secret) for row in await rows(things)] == ["after", "free"]


async def test_a_copy_of_what_was_read_before_is_found(things: Database) -> None:
    """The old key is needed until whoever has read an old secret has written or gone."""
    await add(things, {"secret": old("one")})
    async with things.transaction() as session:
        read = await session.scalar(select(THINGS.c.secret))
        renewing = asyncio.create_task(renew_secrets(things, BOTH, METADATA))

        async def it_is_renewed() -> bool:
            return all(BOTH.renewed(row.secret) is None for row in await rows(things))

        await until(it_is_renewed)
        await session.execute(insert(THINGS).values(id=new_id(), secret=read))
    assert await renewing == Renewed(renewed=2)
    assert [Keyring([NEW]).decrypt(row.secret) for row in await rows(things)] == ["one", "one"]


async def test_what_no_key_reads_is_counted_and_left(things: Database) -> None:
    foreign = Keyring([new_key()]).encrypt("foreign")
    await add(things, {"secret": foreign}, {"secret": old("one")})
    expected = Renewed(renewed=1, unreadable={"things": 1})
    assert await renew_secrets(things, BOTH, METADATA) == expected
    assert (await rows(things))[0].secret == foreign
