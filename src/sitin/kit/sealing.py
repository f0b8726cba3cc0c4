"""Columns whose texts are encrypted, and encrypting them anew once there is a newer key.

A table's model says by a column's type that it is sealed; so a renewal finds every secret there is,
in whatever room. Used by every room's ``models.py``, and by cli.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    MetaData,
    Table,
    Text,
    cast,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.kit.errors import OperatorError

_BATCH = 500
_ROUNDS = 5
_LONGEST_TRANSACTION = 60.0
"""Seconds; the database ends a transaction of ours that idles for longer."""

log = structlog.get_logger(__name__)


class SealedText(Text):
    """A text that ``Keyring.encrypt`` made."""


class SealedFields(JSONB):
    """An object in which the fields of these names are such texts, where they are there."""

    def __init__(self, *names: str) -> None:
        super().__init__(none_as_null=True)
        self.names = names


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a table keeps one secret a row."""

    table: Table
    column: Column[Any]
    name: str | None
    """The field, in an object."""

    @property
    def key(self) -> Column[Any]:
        (key,) = self.table.primary_key
        return key

    @property
    def secret(self) -> ColumnElement[str]:
        return self.column if self.name is None else self.column[self.name].astext

    def with_secret(self, secret: str) -> ColumnElement[Any] | str:
        """The column's value with another secret, and nothing else of it changed."""
        if self.name is None:
            return secret
        path = cast([self.name], ARRAY(Text))
        return func.jsonb_set(self.column, path, func.to_jsonb(cast(secret, Text)))


@dataclass(slots=True)
class Renewed:
    """What came of a renewal.

    Attributes:
        renewed: Secrets that were encrypted anew.
        left: Secrets that an older key is still needed for.
        unreadable: Secrets that no key here can read, by table.
    """

    renewed: int = 0
    left: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)


async def renew_secrets(database: Database, keyring: Keyring, metadata: MetaData) -> Renewed:
    """Encrypt every secret that an older key encrypted with the newest one.

    In batches, each a transaction; one that was cut short is gone on with by the next call. Safe
    beside whatever else works on the tables: a row is held while it is changed, and one that
    somebody else holds is left for the next round. ``left`` is 0 only after a round that began
    when all that could still copy an older secret had ended, and found none.
    """
    found = Renewed()
    for _ in range(_ROUNDS):
        found.left, found.unreadable = 0, {}
        for place in _places(metadata):
            await _renew(database, keyring, place, found)
        if not found.left:
            break
        await _settle(database)
    return found


def _places(metadata: MetaData) -> Iterator[_Place]:
    for table in metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, SealedText):
                yield _Place(table, column, None)
            elif isinstance(column.type, SealedFields):
                for name in column.type.names:
                    yield _Place(table, column, name)


async def _renew(database: Database, keyring: Keyring, place: _Place, found: Renewed) -> None:
    """Walk one place; counts as ``left`` what it found, whatever then became of it."""
    walk = select(place.key, place.secret).where(place.secret.is_not(None)).order_by(place.key)
    batch = walk.limit(_BATCH)
    while True:
        async with database.transaction() as session:
            rows = (await session.execute(batch)).all()
            stale = [
                key for key, secret in rows if _anew(keyring, place, key, secret, found) is not None
            ]
            found.left += len(stale)
            if stale:
                found.renewed += await _write(session, keyring, place, stale)
        if len(rows) < _BATCH:
            return
        batch = walk.where(place.key > rows[-1][0]).limit(_BATCH)


async def _write(session: AsyncSession, keyring: Keyring, place: _Place, keys: list[Any]) -> int:
    """Renew these rows' secrets as they are by now, where nobody else holds the row."""
    held = await session.execute(
        select(place.key, place.secret)
        .where(place.key.in_(keys), place.secret.is_not(None))
        .with_for_update(key_share=True, skip_locked=True)
    )
    written = 0
    for key, secret in held.all():
        if (anew := keyring.renewed(secret)) is not None:
            values = {place.column.name: place.with_secret(anew)}
            await session.execute(update(place.table).where(place.key == key).values(values))
            written += 1
    return written


def _anew(keyring: Keyring, place: _Place, key: Any, secret: str, found: Renewed) -> str | None:
    try:
        return keyring.renewed(secret)
    except OperatorError:
        table = place.table.name
        found.unreadable[table] = found.unreadable.get(table, 0) + 1
        log.warning("secret_unreadable", table=table, column=place.column.name, row=str(key))
        return None


async def _settle(database: Database) -> None:
    """Wait for the transactions of ours that run now: each may copy a secret it has read before."""
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = current_setting('application_name') "
        "AND pid <> pg_backend_pid() AND xact_start <= :began"
    )
    async with database.transaction() as session:
        began = await session.scalar(select(func.now()))
    with suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST_TRANSACTION):
            while True:
                async with database.transaction() as session:
                    if not await session.scalar(others, {"began": began}):
                        return
                await asyncio.sleep(0.1)
