"""The kind of route that needs an API key. Used by every room's ``routes``.

Before a byte of the body is read, the key is checked and a write is counted, in a transaction of
their own. Then the body is read, and only then the request's transaction begins, so that a client
that sends slowly holds no connection. It is committed before the answer is sent, and an error
rolls it back.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, ClassVar

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.limits import WritesLeft, take_write
from sitin.accounts.plans import Plans
from sitin.accounts.service import KEY_HEADER, Caller, authenticate
from sitin.kit.clock import Clock
from sitin.kit.database import Database
from sitin.kit.requests import JsonRequest

_READING = frozenset({"GET", "HEAD"})


class KeyedRoute(APIRoute):
    """A route for callers with an API key that allows the operation."""

    security: ClassVar[list[dict[str, list[str]]]] = [{"ApiKeyAuth": []}]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, within a transaction and behind the check of the key."""
        handle = super().get_route_handler()

        async def with_key(request: Request) -> Response:
            caller, left = await self._admit(request)
            request.state.caller = caller
            request.state.left = left
            read = JsonRequest(request.scope, request.receive)
            if self.body_field is not None:
                # Read here, where our errors pass as they are; the framework finds it read.
                await read.read(required=self.body_field.field_info.is_required())
            database: Database = request.app.state.database
            async with database.transaction() as session:
                request.state.session = session
                response = await handle(read)
            response.headers.update(left_headers(request))
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
                operation_id=self.operation_id or self.name,
                plans=plans,
                now=clock.now(),
            )
            if request.method in _READING:
                return caller, None
            return caller, await take_write(session, caller.team_id, caller.plan)


def left_headers(request: Request) -> Mapping[str, str]:
    """What an answer to this request, whichever it is, tells of the writes that are left."""
    left: WritesLeft | None = getattr(request.state, "left", None)
    return {} if left is None else left.headers


def _session(request: Request) -> AsyncSession:
    session: AsyncSession = request.state.session
    return session


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


SessionOfRequest = Annotated[AsyncSession, Depends(_session)]
CallerOfRequest = Annotated[Caller, Depends(_caller)]
