"""Probes: is the process there, can it do its work. Included by ``api.app``; needs no key."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def alive() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def ready(request: Request) -> JSONResponse:
    """The process reaches its database."""
    try:
        async with request.app.state.database.transaction() as session:
            await session.execute(select(1))
    except (SQLAlchemyError, OSError):
        return JSONResponse({"status": "database away"}, status_code=503)
    return JSONResponse({"status": "ok"})
