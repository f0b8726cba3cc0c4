"""Fixtures shared by all tests."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
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


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> str:
    """The name of a database with every migration applied, to make others of."""

    async def make() -> None:
        await execute(postgres_url, "CREATE DATABASE template_migrated")
        await upgrade(with_database(postgres_url, "template_migrated"))

    asyncio.run(make())
    return "template_migrated"


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """The URL of a database of this test's own without any table."""
    name = f"test_{next(_database_numbers)}"
    await execute(postgres_url, f"CREATE DATABASE {name}")
    yield with_database(postgres_url, name)
    await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(postgres_url: str, migrated_template: str) -> AsyncIterator[str]:
    """The URL of a migrated database of this test's own."""
    name = f"test_{next(_database_numbers)}"
    await execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    yield with_database(postgres_url, name)
    await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database of this test's own."""
    database = Database(database_url)
    yield database
    await database.dispose()


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
