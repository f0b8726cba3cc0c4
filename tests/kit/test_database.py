"""Transactions, JSON columns and the limits of a session."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from sitin.kit.database import Database, driver_url

pytestmark = pytest.mark.db


async def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE things (name text)"))
    with pytest.raises(DBAPIError):
        await _insert(database, "'lost'", "1 / 0")
    await _insert(database, "'kept'")
    async with database.transaction() as session:
        assert (await session.scalars(text("SELECT name FROM things"))).all() == ["kept"]


async def _insert(database: Database, *expressions: str) -> None:
    async with database.transaction() as session:
        for expression in expressions:
            await session.execute(text(f"INSERT INTO things VALUES ({expression})"))


async def test_json_takes_times_and_ids(database: Database) -> None:
    value = {"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "id": UUID(int=7), "text": "ä"}
    statement = text("SELECT :value").bindparams(bindparam("value", value, JSONB)).columns(v=JSONB)
    async with database.transaction() as session:
        assert await session.scalar(statement) == {
            "at": "2026-01-02T03:04:05Z",
            "id": str(UUID(int=7)),
            "text": "ä",
        }


async def test_a_session_waits_for_nothing_forever(database: Database) -> None:
    async with database.transaction() as session:
        for setting in (
            "lock_timeout",
            "statement_timeout",
            "idle_in_transaction_session_timeout",
        ):
            assert await session.scalar(text(f"SHOW {setting}")) not in ("0", None)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_both_spellings_of_the_scheme_are_taken(scheme: str) -> None:
    assert driver_url(f"{scheme}://u@h/d?x=1") == "postgresql+asyncpg://u@h/d?x=1"
