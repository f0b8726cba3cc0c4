"""The database: one engine per process, one transaction per request or task. Used by every room.

A service takes an ``AsyncSession`` and never commits; whoever opened the transaction ends it, and
that is this module (``Database.transaction``) and nobody else.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import pydantic_core
from sqlalchemy import ARRAY, ColumnElement, MetaData, Select, any_, bindparam
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute

T = TypeVar("T")
R = TypeVar("R")

Transaction = Callable[[], AbstractAsyncContextManager[AsyncSession]]
"""Opens a transaction, or joins the caller's: for a service that has something else to do first."""

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# Milliseconds. A transaction is one request or one step of a task: whoever waits for a lock this
# long waits for a stuck one, and who holds one while doing something else has a bug. Better an
# error in one place than a pool that runs dry. Migrations run on a connection without limits.
SESSION_SETTINGS = {
    "application_name": "sitin",
    "lock_timeout": "10000",
    "statement_timeout": "30000",
    "idle_in_transaction_session_timeout": "60000",
}
CONNECT_SECONDS = 10


class Base(DeclarativeBase):
    """Base of every table; each room's ``models.py`` derives from it."""

    metadata = MetaData(naming_convention=NAMING)


class Database:
    """An engine and its sessions. ``url`` is a ``postgresql://`` URL.

    A JSON column takes what pydantic can serialise (models, times, UUIDs) and gives back plain
    lists and dictionaries.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.engine = create_async_engine(
            driver_url(url),
            pool_size=pool_size,
            pool_pre_ping=True,
            connect_args={"timeout": CONNECT_SECONDS, "server_settings": SESSION_SETTINGS},
            json_serializer=_to_json,
            json_deserializer=pydantic_core.from_json,
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session in a transaction: committed at the end, rolled back when something raises."""
        async with self._sessions() as session, session.begin():
            yield session

    async def dispose(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def among(column: InstrumentedAttribute[T], values: Iterable[T]) -> ColumnElement[bool]:
    """That a column has one of these values, however many: they are one parameter, not many."""
    wanted = bindparam(None, list(values), type_=ARRAY(column.type), unique=True)
    return column == any_(wanted)


async def rows_among(
    session: AsyncSession,
    query: Select[R],
    column: InstrumentedAttribute[T],
    values: Iterable[T],
) -> Sequence[R]:
    """What a query gives where a column has one of these values; none are not asked for."""
    wanted = list(values)
    return (await session.scalars(query.where(among(column, wanted)))).all() if wanted else []


def driver_url(url: str) -> str:
    """The address as SQLAlchemy wants it, naming the asyncpg driver."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return f"postgresql+asyncpg://{url.removeprefix(prefix)}"
    return url


def _to_json(value: Any) -> str:
    return pydantic_core.to_json(value).decode()
