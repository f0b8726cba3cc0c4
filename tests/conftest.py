"""Fixtures shared by all tests."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import hypothesis
import pytest

from sitin.kit.database import Database
from sitin.kit.migrate import upgrade
from sitin.kit.postgres import EmbeddedPostgres
from tests.reachable import reachable_directory, shelter_of

# How long an example takes is the machine's affair. A run tries the same examples as the one before
# it; others are tried by `pytest --hypothesis-profile=default`.
hypothesis.settings.register_profile(
    "sitin",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("sitin")

_database_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def run_directory() -> Iterator[Path]:
    """This test run's own directory, open to every user of the machine."""
    with reachable_directory() as path:
        yield path


@pytest.fixture(scope="session")
def make_directory(run_directory: Path) -> Callable[[], Path]:
    """Makes an empty directory that every user of the machine may enter."""
    numbers = itertools.count(1)

    def make() -> Path:
        path = run_directory / str(next(numbers))
        path.mkdir()
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def reachable_path(make_directory: Callable[[], Path]) -> Path:
    """Like pytest's ``tmp_path``, for what a process of another user has to reach."""
    return make_directory()


@pytest.fixture(scope="session")
def postgres_url(make_directory: Callable[[], Path]) -> Iterator[str]:
    """The URL of this test run's own Postgres; its database is empty and stays so."""
    data_dir = make_directory() / "data"
    with EmbeddedPostgres(data_dir, shelter=shelter_of(data_dir)) as url:
        yield url


@dataclass(frozen=True, slots=True)
class MigratedDatabase:
    """A database with every migration applied.

    Tests have it one after the other, each as it was: making one for each takes a third of a
    second of a busy machine, and statements once compiled are there for the next test.
    """

    database: Database
    emptying: str
    """What leaves nothing of a test: its connections, its tables, and its rows, whatever triggers
    and keys hold them; but for the rows of the migrations."""


@pytest.fixture(scope="session")
def migrated_database(postgres_url: str) -> MigratedDatabase:
    """This process's one."""
    url = with_database(postgres_url, "migrated")

    async def make() -> str:
        await execute(postgres_url, "CREATE DATABASE migrated")
        await upgrade(url)
        async with connected(url) as connection:
            names = [
                row["name"]
                for row in await connection.fetch(
                    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
                )
            ]
            empty = [
                name
                for name in names
                if not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {name})")
            ]
        ours = ", ".join(f"'{name}'" for name in names)
        return f"""
            SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid != pg_backend_pid();
            SET session_replication_role = replica;
            DO $$ DECLARE one record; BEGIN
                FOR one IN SELECT tablename FROM pg_tables
                WHERE schemaname = 'public' AND tablename NOT IN ({ours}) LOOP
                    EXECUTE format('DROP TABLE %I', one.tablename);
                END LOOP;
            END $$;
            {"".join(f"DELETE FROM {name};" for name in empty)}
        """

    emptying = asyncio.run(make())
    return MigratedDatabase(Database(url), emptying)


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """The URL of a database of this test's own without any table."""
    name = f"test_{next(_database_numbers)}"
    await execute(postgres_url, f"CREATE DATABASE {name}")
    yield with_database(postgres_url, name)
    await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(migrated_database: MigratedDatabase) -> str:
    """The URL of a migrated database that nobody else uses, and nobody seems to have used."""
    url = migrated_database.database.url
    await execute(url, migrated_database.emptying)
    return url


@pytest.fixture
async def database(
    database_url: str, migrated_database: MigratedDatabase
) -> AsyncIterator[Database]:
    """The same, connected."""
    assert migrated_database.database.url == database_url
    yield migrated_database.database
    await migrated_database.database.dispose()


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def execute(url: str, statements: str) -> None:
    """Run statements on a connection of their own."""
    async with connected(url) as connection:
        await connection.execute(statements)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
