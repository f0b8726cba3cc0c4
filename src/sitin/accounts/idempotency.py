"""Idempotency keys: a repeated request gets the stored response of the first one. For routing.

A key belongs to a team and is valid for ``VALIDITY``. The response is stored in the transaction of
the request's effect: both exist or neither. While that transaction runs, it holds an advisory lock
on the key, which ends with it, also when the process is killed.

Key and request are stored as hashes only, the response is stored encrypted.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import Headers

from sitin.accounts.errors import (
    IdempotencyKeyInUseError,
    IdempotencyKeyInvalidError,
    IdempotencyKeyReusedError,
)
from sitin.accounts.models import IdempotencyKey
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.kit.errors import OperatorError

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
MAX_KEY_LENGTH = 255
VALIDITY = timedelta(hours=24)

_KEY = re.compile(f"[ -~]{{1,{MAX_KEY_LENGTH}}}")

PERSONAL_FIELDS: Mapping[str, Any] = {"extra": None, "account_email": ""}
"""Response fields with data of customers or of their people, and the values that redaction sets.

A test requires every other field of a stored response to be listed as not personal."""

REQUESTS = Counter(
    "sitin_idempotent_requests_total",
    "Requests whose idempotency key was known, by outcome.",
    ["outcome"],
)


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The status and the body of a response."""

    status: int
    body: str


class AlreadyExecutedError(Exception):
    """Another request with the same key was executed since this one looked for its response.

    Attributes:
        response: The response of the other request.
    """

    def __init__(self, response: StoredResponse) -> None:
        super().__init__()
        self.response = response


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request with an idempotency key.

    Attributes:
        id: SHA-256 of team and key.
        fingerprint: SHA-256 of operation, path and body, in hexadecimal.
    """

    id: bytes
    fingerprint: str

    @classmethod
    def create(
        cls, team_id: UUID, key: str, *, operation: str, path: str, body: Any
    ) -> "IdempotentRequest":
        """Hashes a request. ``body`` is parsed JSON: white space and order make no difference."""
        request = json.dumps([operation, path, body], sort_keys=True)
        return cls(
            id=hashlib.sha256(team_id.bytes + key.encode()).digest(),
            fingerprint=hashlib.sha256(request.encode()).hexdigest(),
        )

    @property
    def lock_id(self) -> int:
        """The number of the key's advisory lock."""
        return int.from_bytes(self.id[:8], signed=True)


class IdempotencyStore:
    """The stored responses of all teams."""

    def __init__(self, *, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    async def find(self, request: IdempotentRequest) -> StoredResponse | None:
        """Returns the stored response, or ``None``. Raises ``IdempotencyKeyReusedError``."""
        async with self._database.transaction() as session:
            return await self._find(session, request)

    async def claim(self, session: AsyncSession, request: IdempotentRequest) -> None:
        """Locks the key until the transaction ends.

        Raises ``IdempotencyKeyInUseError`` while another transaction holds the lock, and
        ``AlreadyExecutedError`` or ``IdempotencyKeyReusedError`` if a response is stored.
        """
        if not await session.scalar(select(func.pg_try_advisory_xact_lock(request.lock_id))):
            REQUESTS.labels("in_use").inc()
            raise IdempotencyKeyInUseError
        # A statement of its own: its snapshot includes what the lock's last holder committed.
        if (response := await self._find(session, request)) is not None:
            raise AlreadyExecutedError(response)

    async def _find(
        self, session: AsyncSession, request: IdempotentRequest
    ) -> StoredResponse | None:
        encrypted = await session.scalar(
            select(IdempotencyKey.response).where(
                IdempotencyKey.id == request.id, IdempotencyKey.created_at > self._expiry()
            )
        )
        if encrypted is None:
            return None
        stored = json.loads(self._keyring.decrypt(encrypted))
        if stored["request"] != request.fingerprint:
            REQUESTS.labels("reused").inc()
            raise IdempotencyKeyReusedError
        REQUESTS.labels("replayed").inc()
        return StoredResponse(stored["status"], stored["body"])

    async def store(
        self,
        session: AsyncSession,
        request: IdempotentRequest,
        response: StoredResponse,
        object_ids: Sequence[UUID],
    ) -> None:
        """Stores a response; does nothing if the key has one already."""
        stored = {
            "request": request.fingerprint,
            "status": response.status,
            "body": response.body,
        }
        values = {
            "response": self._keyring.encrypt(json.dumps(stored)),
            "object_ids": list(object_ids),
            "created_at": self._clock.now(),
        }
        await session.execute(
            insert(IdempotencyKey)
            .values(id=request.id, **values)
            .on_conflict_do_update(
                index_elements=[IdempotencyKey.id],
                set_=values,
                where=IdempotencyKey.created_at <= self._expiry(),
            )
        )

    async def redact(self, session: AsyncSession, object_id: UUID) -> None:
        """Removes personal data from the stored responses about an object.

        The responses and their ids stay, so that a repeated request still has no second effect.
        """
        rows = await session.scalars(
            select(IdempotencyKey)
            .where(IdempotencyKey.object_ids.contains([object_id]))
            .order_by(IdempotencyKey.id)
            .with_for_update()
        )
        for row in rows:
            try:
                stored = json.loads(self._keyring.decrypt(row.response))
            except OperatorError:
                # The secret key is gone: the response can be neither redacted nor replayed.
                await session.delete(row)
                continue
            body = redacted(json.loads(stored["body"]), str(object_id))
            stored["body"] = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
            row.response = self._keyring.encrypt(json.dumps(stored))
        await session.flush()

    async def prune(self, session: AsyncSession, *, limit: int) -> int:
        """Deletes at most ``limit`` expired keys; returns how many."""
        expired = (
            select(IdempotencyKey.id)
            .where(IdempotencyKey.created_at <= self._expiry())
            .order_by(IdempotencyKey.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        deleted = await session.scalars(
            delete(IdempotencyKey)
            .where(IdempotencyKey.id.in_(expired))
            .returning(IdempotencyKey.id)
            .execution_options(synchronize_session=False)
        )
        return len(deleted.all())

    def _expiry(self) -> datetime:
        return self._clock.now() - VALIDITY


def idempotency_key_of(headers: Headers) -> str | None:
    """Returns the request's idempotency key. Raises ``IdempotencyKeyInvalidError``."""
    match headers.getlist(KEY_HEADER):
        case []:
            return None
        case [key] if _KEY.fullmatch(key.strip(" ")):
            return key.strip(" ")
    raise IdempotencyKeyInvalidError(MAX_KEY_LENGTH)


def is_storable(status: int) -> bool:
    """Whether an error with this status is stored as the key's response.

    Not stored are errors after which the same request may succeed or has not been executed: failed
    validation, limits, and internal errors.
    """
    return status < 500 and status not in (400, 429)


def redacted(value: Any, object_id: str) -> Any:
    """Returns a JSON value without the personal fields of the objects in it that have this id."""
    match value:
        case dict():
            has_id = object_id in value.values()
            return {
                name: PERSONAL_FIELDS[name]
                if has_id and name in PERSONAL_FIELDS
                else redacted(inner, object_id)
                for name, inner in value.items()
            }
        case list():
            return [redacted(inner, object_id) for inner in value]
        case _:
            return value
