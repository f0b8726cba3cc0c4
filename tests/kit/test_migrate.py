"""Migrations: equal to the models, applied once, refused when newer."""

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import sitin
from sitin import migrations
from sitin.kit.database import Base, Database
from sitin.kit.errors import OperatorError
from sitin.kit.migrate import upgrade
from sitin.migrations import HEAD

pytestmark = pytest.mark.db


def import_every_model() -> None:
    for module in pkgutil.walk_packages(sitin.__path__, "sitin."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)


@pytest.fixture
async def own(empty_database_url: str) -> AsyncIterator[Database]:
    """A migrated database that no other test gets, whatever becomes of it."""
    await upgrade(empty_database_url)
    database = Database(empty_database_url)
    yield database
    await database.dispose()


async def test_migrations_and_models_are_equal(database: Database) -> None:
    import_every_model()

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={"compare_server_default": True},
        )
        return list(compare_metadata(context, Base.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_the_last_migration_is_known() -> None:
    """Where it was applied, nothing is looked for."""
    assert ScriptDirectory(str(Path(migrations.__path__[0]))).get_current_head() == HEAD


async def test_two_at_once_migrate_once(empty_database_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_database_url) for _ in range(3)))
    await upgrade(empty_database_url)


async def test_a_newer_database_is_refused_and_left_alone(own: Database) -> None:
    async with own.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
    with pytest.raises(OperatorError, match=r"newer sitin \(revision 9999_future\).*restore"):
        await upgrade(own.url)
    async with own.transaction() as session:
        found = await session.scalar(text("SELECT version_num FROM alembic_version"))
        assert found == "9999_future"


async def test_a_failed_migration_leaves_nothing(own: Database) -> None:
    async with own.transaction() as session:
        # The second migration finds its table in the way, after the first one has made a type.
        await session.execute(text("DROP TABLE alembic_version"))
    with pytest.raises(OperatorError, match=r"already exists.*nothing was changed"):
        await upgrade(own.url)
    async with own.transaction() as session:
        assert await session.scalar(text("SELECT to_regtype('pgqueuer_status')")) is None


async def test_a_wrong_password_gets_one_sentence(database_url: str) -> None:
    parts = urlsplit(database_url)
    wrong = parts._replace(netloc="sitin:secret@").geturl()
    with pytest.raises(OperatorError, match=r"password authentication failed.*correct") as caught:
        await upgrade(wrong)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    ["postgresql://who:secret@127.0.0.1:1/none", "postgresql://who:secret@/none?host=/nowhere"],
)
async def test_a_database_that_is_not_there_gets_one_sentence(url: str) -> None:
    with pytest.raises(OperatorError, match="correct SITIN_DATABASE_URL") as caught:
        await upgrade(url)
    assert "secret" not in caught.value.message


async def test_jobs_of_the_former_queue_are_kept(empty_database_url: str) -> None:
    await upgrade(empty_database_url, "0014_patience")
    database = Database(empty_database_url)
    async with database.transaction() as session:
        await session.execute(
            text(
                """
                INSERT INTO pgqueuer (priority, status, entrypoint, dedupe_key, payload, headers)
                VALUES
                    (0, 'queued', 'transcribe', 'transcribe:a', '{"bot_id": "1"}', NULL),
                    (0, 'picked', 'sync_calendar', NULL, '{}', '{"key": "sync_calendar:b"}'),
                    (0, 'failed', 'transcribe', NULL, '{"bot_id": "2"}', '{"starts": 10}')
                """
            )
        )
    await upgrade(empty_database_url)
    async with database.transaction() as session:
        jobs = await session.execute(
            text("SELECT task, key, payload, state, attempts FROM jobs ORDER BY id")
        )
        assert jobs.all() == [
            ("transcribe", "a", {"bot_id": "1"}, "waiting", 0),
            ("sync_calendar", "b", {}, "waiting", 0),
            ("transcribe", None, {"bot_id": "2"}, "dead_lettered", 0),
        ]
    await database.dispose()
