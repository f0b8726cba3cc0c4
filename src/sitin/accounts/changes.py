"""Requests that change something: the transaction, its audit entry and its stored response.

Used by routing.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from uuid import UUID

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import Counter
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException

from sitin.accounts import audit
from sitin.accounts.errors import IdempotencyKeyError
from sitin.accounts.idempotency import (
    AlreadyExecutedError,
    IdempotencyStore,
    IdempotentRequest,
    StoredResponse,
    is_storable,
)
from sitin.accounts.models import ActorKind
from sitin.accounts.objects import ids_in, ids_in_response, outcome_of
from sitin.accounts.service import Caller
from sitin.accounts.tracing import client_of
from sitin.kit.clock import Clock
from sitin.kit.database import Database
from sitin.kit.errors import SitinError
from sitin.kit.requests import JsonRequest

ENTRIES_LOST = Counter(
    "sitin_audit_entries_lost_total", "Refused or failed changes that could not be recorded."
)

log = structlog.get_logger(__name__)


class RequestTransaction:
    """The transaction of a request. Calling it joins the transaction, as a ``Transaction``.

    Args:
        session: Its session, which takes a connection with the first statement.
        first: Is awaited before anything else happens in the transaction.
    """

    def __init__(
        self, session: AsyncSession, first: Callable[[AsyncSession], Awaitable[None]] | None = None
    ) -> None:
        self._session = session
        self._first = first

    async def begin(self) -> AsyncSession:
        """Returns the session, in the transaction."""
        if self._first is not None:
            await self._first(self._session)
            self._first = None
        return self._session

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncSession]:
        """Join the transaction; the route ends it."""
        yield await self.begin()


class ChangingRequest:
    """A request that changes something.

    Args:
        request: The request; its body is read.
        operation: The operation's id.
        body_ids: Fields of the body that hold ids of objects.
    """

    def __init__(
        self, request: JsonRequest, *, operation: str, body_ids: Sequence[str] = ()
    ) -> None:
        self._request = request
        self._operation = operation
        self._body_ids = body_ids
        state = request.app.state
        self._database: Database = state.database
        self._store: IdempotencyStore = state.idempotency
        self._clock: Clock = state.clock

    async def execute(
        self,
        handle: Callable[[Request], Awaitable[Response]],
        idempotent: IdempotentRequest | None = None,
    ) -> Response:
        """Executes the operation in a transaction, with its audit entry and stored response.

        Raises ``IdempotencyKeyError`` or ``AlreadyExecutedError`` where the key is taken, and what
        the operation raises.
        """
        try:
            async with self._database.transaction() as session:
                transaction = self._transaction(session, idempotent)
                self._request.state.transaction = transaction
                response = await handle(self._request)
                await transaction.begin()
                content = bytes(response.body)
                body = json.loads(content)
                ids = ids_in_response(body)
                if idempotent is not None:
                    stored = StoredResponse(response.status_code, content.decode())
                    await self._store.store(session, idempotent, stored, ids)
                await self._record(session, outcome_of(body), ids)
                return response
        except (AlreadyExecutedError, IdempotencyKeyError):
            raise
        except Exception as error:
            await self._record_failure(error, idempotent)
            raise

    def _transaction(
        self, session: AsyncSession, idempotent: IdempotentRequest | None
    ) -> RequestTransaction:
        if idempotent is None:
            return RequestTransaction(session)
        return RequestTransaction(session, lambda session: self._store.claim(session, idempotent))

    async def _record_failure(self, error: Exception, idempotent: IdempotentRequest | None) -> None:
        """Records a change that was refused or failed and is rolled back.

        A request that does not validate is not recorded.
        """
        status, code = _status_and_code(error)
        if status == HTTPStatus.BAD_REQUEST:
            return
        try:
            async with self._database.transaction() as session:
                if idempotent is not None and isinstance(error, SitinError) and is_storable(status):
                    content = bytes(JSONResponse(error.body()).body).decode()
                    await self._store.store(
                        session, idempotent, StoredResponse(status, content), []
                    )
                await self._record(session, code, [])
        except (SQLAlchemyError, OSError):
            # The request fails with its own error, not with this one.
            ENTRIES_LOST.inc()
            log.exception("audit_entry_lost", operation=self._operation, outcome=code)

    async def _record(
        self, session: AsyncSession, outcome: str, response_ids: Sequence[UUID]
    ) -> None:
        request = self._request
        caller: Caller = request.state.caller
        ids = ids_in(request.path_params)
        if self._body_ids and isinstance(body := await request.json(), dict):
            ids += ids_in(body, self._body_ids)
        change = audit.Change(
            team_id=caller.team_id,
            actor_kind=ActorKind.API_KEY,
            actor=str(caller.key_id),
            action=self._operation,
            object_ids=list(dict.fromkeys([*ids, *response_ids])),
            outcome=outcome,
            client=client_of(request),
            request_id=request.state.request_id,
        )
        await audit.record(session, change, at=self._clock.now())


def _status_and_code(error: Exception) -> tuple[int, str]:
    match error:
        case SitinError():
            return error.status, error.code
        case RequestValidationError():
            return HTTPStatus.BAD_REQUEST, "FST_ERR_VALIDATION"
        case HTTPException():
            return error.status_code, "FST_ERR_HTTP"
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR, "FST_ERR_INTERNAL"
