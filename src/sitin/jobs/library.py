"""PgQueuer as this house uses it: names, settings, and its queries on our connections.

For the modules of this room. Nobody else knows which job library it is.
"""

import asyncio
from typing import Self

from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.tm import TaskManager
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.ports.driver import Driver, NotifyCallback
from sqlalchemy.ext.asyncio import AsyncSession

# Every name is given, because the library would else take them from the environment, some from
# variables as common as CHANNEL or PREFIX, and look for other tables than the migration made.
SETTINGS = DBSettings(
    prefix="",
    db_schema=None,
    channel="ch_pgqueuer",
    function="fn_pgqueuer_changed",
    trigger="tg_pgqueuer_changed",
    queue_status_type="pgqueuer_status",
    queue_table="pgqueuer",
    queue_table_log="pgqueuer_log",
    schedules_table="pgqueuer_schedules",
    statistics_table="pgqueuer_statistics",
    durability=Durability.balanced,
    widen_id=True,
)


def queries(driver: Driver) -> Queries:
    """The library's queries on a connection of ours."""
    return Queries(driver, *builders())


def builders() -> tuple[QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder]:
    """What writes the library's SQL, with our names."""
    return (
        QueryBuilderEnvironment(SETTINGS),
        QueryQueueBuilder(SETTINGS),
        QuerySchedulerBuilder(SETTINGS),
    )


class SessionDriver(Driver):
    """Runs the library's queries in a session's transaction.

    Through SQLAlchemy's connection and not the driver's below it, because SQLAlchemy begins the
    transaction with its own first statement: one that passed it by would stand outside.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Run a query and return its rows."""
        connection = await self._session.connection()
        result = await connection.exec_driver_sql(query, tuple(args))
        return [dict(row) for row in result.mappings()]

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement."""
        connection = await self._session.connection()
        await connection.exec_driver_sql(query, tuple(args))
        return ""

    async def notify(self, channel: str, payload: str) -> None:
        """Send a notification when the transaction ends."""
        await self.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Refused: a session's connection goes back to the pool."""
        raise NotImplementedError

    @property
    def shutdown(self) -> asyncio.Event:
        """Never set; part of the library's Protocol."""
        return asyncio.Event()

    @property
    def tm(self) -> TaskManager:
        """Unused; part of the library's Protocol."""
        return TaskManager()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...
