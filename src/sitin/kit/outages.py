"""Which database errors pass by themselves, and which are our own mistake. For retrying loops."""

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_PASSING_CLASSES = frozenset(
    {
        "08",  # the connection
        "40",  # deadlock or serialisation failure: the same again will do
        "53",  # out of connections, memory or disk
        "55",  # a lock was not to be had in time
        "57",  # shutting down, starting up, or the statement was cancelled
        "58",  # the server's own system
    }
)


def passes_by_itself(error: BaseException) -> bool:
    """Whether it may be worth trying the same again once the database answers."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        state = getattr(error.orig, "sqlstate", None)
        return state is None or state[:2] in _PASSING_CLASSES
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "08")[:2] in _PASSING_CLASSES
    return isinstance(error, OSError | asyncpg.InterfaceError | PoolTimeoutError)
