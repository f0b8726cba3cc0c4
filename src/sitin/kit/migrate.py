"""Brings a database to the state this code expects. Used by ``serve`` and by the tests."""

from contextlib import AsyncExitStack

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from sitin.kit.database import driver_url
from sitin.kit.errors import OperatorError
from sitin.migrations import HEAD

OLDEST_SERVER = 14  # PostgreSQL 13 has been unsupported since November 2025

_LOCK = 0x73_69_74_69_6E  # "sitin"; any number that nobody else locks


async def upgrade(url: str, revision: str = HEAD) -> None:
    """Apply the missing migrations up to ``revision``, all or none.

    Two processes may call it at once; the second waits for the first. Raises ``OperatorError``
    when the database cannot be reached or was migrated by a newer version.
    """
    engine = create_async_engine(driver_url(url), poolclass=NullPool)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        try:
            connection = await stack.enter_async_context(engine.connect())
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
            raise _complaint(url, "be reached", error, "start it, or correct") from error
        async with connection.begin():
            try:
                if not await connection.run_sync(_is_current):
                    await connection.run_sync(_upgrade, revision)
            except (asyncpg.PostgresError, DBAPIError) as error:
                raise _complaint(
                    url, "be migrated", error, "nothing was changed; mend that, or replace"
                ) from error


def _is_current(connection: Connection) -> bool:
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return False
    return connection.scalars(text("SELECT version_num FROM alembic_version")).all() == [HEAD]


def _upgrade(connection: Connection, revision: str) -> None:
    # Alembic and the migrations take long to load, and no command but the first has any to apply.
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    version = int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000
    if version < OLDEST_SERVER:
        raise OperatorError(
            f"The database server is PostgreSQL {version}: point SITIN_DATABASE_URL at version "
            f"{OLDEST_SERVER} or newer."
        )
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", "sitin:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = set(MigrationContext.configure(connection).get_current_heads())
    if unknown := present - known:
        raise OperatorError(
            f"The database was migrated by a newer sitin (revision {', '.join(sorted(unknown))}): "
            "run that version again, or restore a backup made before."
        )
    command.upgrade(config, revision)


def _complaint(url: str, what: str, error: Exception, advice: str) -> OperatorError:
    shown = make_url(url).set(password=None).render_as_string()
    reason = str(error).partition("\n")[0]
    return OperatorError(
        f"The database {shown} cannot {what} ({reason}): {advice} SITIN_DATABASE_URL."
    )
