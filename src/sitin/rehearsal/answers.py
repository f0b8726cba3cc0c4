"""How controls take and answer requests: JSON bodies, waits, errors. For all controls here."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sitin.kit.errors import SitinError
from sitin.rehearsal.errors import ControlError
from sitin.rehearsal.script import sentence_of

LONGEST_WAIT = 300.0
"""Seconds for which a waiting request may be held open."""


async def read_json(request: Request) -> Any:
    """The body; an empty one is an empty object. Raises ``HTTPException``."""
    raw = await request.body()
    try:
        return json.loads(raw) if raw.strip() else {}
    except ValueError as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from error


def read_number(request: Request, name: str, *, default: float | None = None) -> float:
    """A number of seconds among the parameters. Raises ``HTTPException``."""
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError as error:
        raise HTTPException(400, f"{name}: has to be a number of seconds") from error
    if not 0 <= value < float("inf"):
        raise HTTPException(400, f"{name}: has to be a number of seconds, 0 or more")
    return value


async def waited(request: Request, what: str, begin: Callable[[], Awaitable[object]]) -> None:
    """Wait as long as the request's ``timeout`` allows. Raises ``HTTPException``."""
    seconds = read_number(request, "timeout", default=30.0)
    try:
        async with asyncio.timeout(min(seconds, LONGEST_WAIT)):
            await begin()
    except TimeoutError as error:
        raise HTTPException(408, f"not {what} within {seconds:g} s") from error


def names(table: dict[str, Any]) -> str:
    """What there is, for a sentence."""
    return ", ".join(sorted(table))


def describe(error: Exception) -> tuple[int, str, str]:
    """Status, code and sentence of one of ``ERRORS``."""
    match error:
        case SitinError():
            return error.status, error.code, error.message
        case ValidationError():
            return 400, ControlError.code, sentence_of(error)
        case HTTPException():
            return error.status_code, ControlError.code, error.detail
    raise error


async def answer_error(_: Request, error: Exception) -> Response:
    """One of ``ERRORS`` as JSON."""
    status, code, message = describe(error)
    return JSONResponse({"error": code, "message": message}, status_code=status)


ERRORS = (SitinError, ValidationError, HTTPException)
"""What may go wrong with a request to a control."""

ERROR_HANDLERS: Any = dict.fromkeys(ERRORS, answer_error)
"""For an application of controls."""
