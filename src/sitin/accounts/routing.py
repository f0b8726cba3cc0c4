"""The kind of route that needs an API key. Used by every room's ``routes``.

Before a byte of the body is read, the key is checked and a write is counted, in a transaction of
their own. Then the body is read, and only then the request's transaction begins, so that a client
that sends slowly holds no connection. It is committed before the response is sent, and an error
rolls it back.
"""

from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import structlog
from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.changes import ChangingRequest, RequestTransaction
from sitin.accounts.idempotency import (
    REPLAYED_HEADER,
    AlreadyExecutedError,
    IdempotencyStore,
    IdempotentRequest,
    idempotency_key_of,
)
from sitin.accounts.limits import WritesLeft, take_write
from sitin.accounts.objects import NAMES
from sitin.accounts.permissions import READ_ONLY_POSTS
from sitin.accounts.plans import Plans
from sitin.accounts.service import KEY_HEADER, Caller, authenticate
from sitin.accounts.tracing import REQUEST_ID_HEADER, request_id_of
from sitin.kit.clock import Clock
from sitin.kit.database import Database, Transaction
from sitin.kit.requests import JsonRequest

_READING = frozenset({"GET", "HEAD"})

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class KeyedRoute(APIRoute):
    """A route for callers with an API key that allows the operation."""

    security: ClassVar[list[dict[str, list[str]]]] = [{"ApiKeyAuth": []}]

    @property
    def operation(self) -> str:
        """The operation's id."""
        return self.operation_id or self.name

    @property
    def writes(self) -> bool:
        """Whether requests change something, and are recorded in the audit log."""
        return not set(self.methods or ()) <= _READING and self.operation not in READ_ONLY_POSTS

    @property
    def takes_idempotency_key(self) -> bool:
        """Whether requests may carry an idempotency key; PATCH and DELETE are idempotent anyway."""
        return self.writes and self.methods == {"POST"}

    @cached_property
    def _body_ids(self) -> tuple[str, ...]:
        """The fields of the body that hold ids of objects."""
        model = None if self.body_field is None else self.body_field.field_info.annotation
        return tuple(name for name in NAMES if name in getattr(model, "model_fields", {}))

    def get_route_handler(self) -> Handler:
        """The handler, within a transaction and behind the check of the key."""
        handle = super().get_route_handler()
        run = self._write if self.writes else self._read

        async def with_key(request: Request) -> Response:
            request.state.request_id = request_id_of(request)
            structlog.contextvars.bind_contextvars(request_id=request.state.request_id)
            request.state.caller, request.state.left = await self._admit(request)
            response = await run(handle, JsonRequest(request.scope, request.receive))
            response.headers.update(response_headers(request))
            return response

        return with_key

    async def _admit(self, request: Request) -> tuple[Caller, WritesLeft | None]:
        """Who calls, and what their team may still write, this request counted in."""
        database: Database = request.app.state.database
        clock: Clock = request.app.state.clock
        plans: Plans = request.app.state.plans
        async with database.transaction() as session:
            caller = await authenticate(
                session,
                request.headers.get(KEY_HEADER),
                operation_id=self.operation,
                plans=plans,
                now=clock.now(),
            )
            if request.method in _READING:
                return caller, None
            return caller, await take_write(session, caller.team_id, caller.plan)

    async def _read_body(self, request: JsonRequest) -> None:
        if self.body_field is not None:
            # Read here, where our errors pass as they are; the framework finds it read.
            await request.read(required=self.body_field.field_info.is_required())

    async def _read(self, handle: Handler, request: JsonRequest) -> Response:
        await self._read_body(request)
        database: Database = request.app.state.database
        async with database.transaction() as session:
            request.state.transaction = RequestTransaction(session)
            return await handle(request)

    async def _write(self, handle: Handler, request: JsonRequest) -> Response:
        key = idempotency_key_of(request.headers) if self.takes_idempotency_key else None
        await self._read_body(request)
        change = ChangingRequest(request, operation=self.operation, body_ids=self._body_ids)
        if key is None:
            return await change.execute(handle)
        idempotent = await self._idempotent(request, key)
        store: IdempotencyStore = request.app.state.idempotency
        stored = await store.find(idempotent)
        if stored is None:
            try:
                return await change.execute(handle, idempotent)
            except AlreadyExecutedError as error:
                stored = error.response
        return Response(
            stored.body,
            stored.status,
            media_type="application/json",
            headers={REPLAYED_HEADER: "true"},
        )

    async def _idempotent(self, request: JsonRequest, key: str) -> IdempotentRequest:
        caller: Caller = request.state.caller
        has_body = self.body_field is not None and await request.body()
        return IdempotentRequest.create(
            caller.team_id,
            key,
            operation=self.operation,
            path=request.url.path,
            body=await request.json() if has_body else None,
        )


def response_headers(request: Request) -> Mapping[str, str]:
    """Headers of every response to this request: its id, and the writes that the team has left."""
    headers = {}
    if (request_id := getattr(request.state, "request_id", None)) is not None:
        headers[REQUEST_ID_HEADER] = request_id
    left: WritesLeft | None = getattr(request.state, "left", None)
    return headers if left is None else headers | left.headers


async def _session(request: Request) -> AsyncSession:
    transaction: RequestTransaction = request.state.transaction
    return await transaction.begin()


async def _joined(request: Request) -> Transaction:
    transaction: RequestTransaction = request.state.transaction
    return transaction


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


SessionOfRequest = Annotated[AsyncSession, Depends(_session)]
TransactionOfRequest = Annotated[Transaction, Depends(_joined)]
"""For operations that call another service before they write."""
CallerOfRequest = Annotated[Caller, Depends(_caller)]
