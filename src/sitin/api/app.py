"""The HTTP application: what it is made of and which routers it has. Used by cli and tests."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from sitin.api import errors, health
from sitin.api.openapi import document
from sitin.artifacts import routes as artifacts
from sitin.artifacts.service import Artifacts
from sitin.bots import routes as bots
from sitin.bots.events import router as bot_webhooks
from sitin.bots.service import Bots
from sitin.kit.clock import Clock
from sitin.kit.database import Database

ROUTERS = (bots.router, artifacts.router, health.router)


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes work with."""

    database: Database
    clock: Clock
    bots: Bots
    artifacts: Artifacts


def create_app(
    services: Services,
    *,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """The application over these services."""
    app = FastAPI(
        title="sitin",
        version=version("sitin"),
        summary="Bots that sit in on meetings, record, transcribe and report.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.database = services.database
    app.state.clock = services.clock
    app.state.bots = services.bots
    app.state.artifacts = services.artifacts
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.webhooks.include_router(bot_webhooks)
    _use_own_document(app)
    return app


def _use_own_document(app: FastAPI) -> None:
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(document(app))
        return made

    app.openapi = openapi  # type: ignore[method-assign]
