"""What is asked of a database. For tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from sitin.kit.database import Database


@contextmanager
def asked_of(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Each statement that is executed until the context ends, with its parameters."""
    asked: list[tuple[str, Any]] = []

    def note(*execution: Any) -> None:
        asked.append((execution[2], execution[3]))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)
