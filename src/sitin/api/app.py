"""The HTTP application: what it is made of and which routers it has. Used by cli and tests."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from sitin.accounts.idempotency import IdempotencyStore
from sitin.accounts.plans import Plans
from sitin.api import errors, health
from sitin.api.metrics import PATH as METRICS_PATH
from sitin.api.metrics import metrics_endpoint
from sitin.api.openapi import document
from sitin.artifacts import routes as artifacts
from sitin.artifacts.service import Artifacts
from sitin.bots import routes as bots
from sitin.bots.creation import BotCreation
from sitin.bots.deletion import Deletion
from sitin.bots.events import router as bot_webhooks
from sitin.bots.reports import Reports
from sitin.bots.scheduled import routes as scheduled_bots
from sitin.bots.scheduled.service import ScheduledBots
from sitin.bots.service import Bots
from sitin.calendars import pushes
from sitin.calendars import routes as calendars
from sitin.calendars.bots import CalendarBots
from sitin.calendars.connections import Connections
from sitin.calendars.events import Events
from sitin.calendars.pushes import Pushes
from sitin.calendars.webhooks import router as calendar_webhooks
from sitin.kit.clock import Clock
from sitin.kit.database import Database

ROUTERS = (
    scheduled_bots.router,
    bots.router,
    calendars.router,
    pushes.router,
    artifacts.router,
    health.router,
)


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes work with; each is in the app's state under its name."""

    database: Database
    clock: Clock
    plans: Plans
    idempotency: IdempotencyStore
    bots: Bots
    bot_creation: BotCreation
    bot_deletion: Deletion
    bot_reports: Reports
    scheduled_bots: ScheduledBots
    calendar_connections: Connections
    calendar_events: Events
    calendar_bots: CalendarBots
    calendar_pushes: Pushes
    artifacts: Artifacts


def create_app(
    services: Services,
    *,
    metrics_token: str | None = None,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """The application over these services; with a token it answers ``/metrics`` to its bearer."""
    app = FastAPI(
        title="sitin",
        version=version("sitin"),
        summary="Bots that sit in on meetings, record, transcribe and report.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    for service in fields(services):
        setattr(app.state, service.name, getattr(services, service.name))
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    if metrics_token is not None:
        app.add_route(METRICS_PATH, metrics_endpoint(metrics_token), include_in_schema=False)
    app.webhooks.include_router(bot_webhooks)
    app.webhooks.include_router(calendar_webhooks)
    _use_own_document(app)
    return app


def _use_own_document(app: FastAPI) -> None:
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(document(app, ROUTERS))
        return made

    app.openapi = openapi  # type: ignore[method-assign]
