"""The kind of route that needs an API key. Used by every room's ``routes``.

The key is checked before a byte of the body is read, and the whole request, check included, is one
transaction: it is committed before the answer is sent, and an error rolls it back.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, ClassVar

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.service import KEY_HEADER, Caller, authenticate
from sitin.kit.clock import Clock
from sitin.kit.database import Database
from sitin.kit.requests import JsonRequest


class KeyedRoute(APIRoute):
    """A route for callers with an API key that allows the operation."""

    security: ClassVar[list[dict[str, list[str]]]] = [{"ApiKeyAuth": []}]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, within a transaction and behind the check of the key."""
        handle = super().get_route_handler()
        operation_id = self.operation_id or self.name

        async def with_key(request: Request) -> Response:
            database: Database = request.app.state.database
            clock: Clock = request.app.state.clock
            async with database.transaction() as session:
                request.state.session = session
                request.state.caller = await authenticate(
                    session,
                    request.headers.get(KEY_HEADER),
                    operation_id=operation_id,
                    now=clock.now(),
                )
                read = JsonRequest(request.scope, request.receive)
                if self.body_field is not None:
                    # Read here, where our errors pass as they are; the framework finds it read.
                    await read.json()
                return await handle(read)

        return with_key


def _session(request: Request) -> AsyncSession:
    session: AsyncSession = request.state.session
    return session


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


SessionOfRequest = Annotated[AsyncSession, Depends(_session)]
CallerOfRequest = Annotated[Caller, Depends(_caller)]
