"""The API in a process of its own that kills itself at a moment of a request with a key. For tests.

``python -m … DATABASE_URL SECRET_KEY DATA_DIRECTORY MOMENT``; prints its address. The moments:
``effect`` before the first row of the effect is written, ``commit`` before the effect is committed,
``committed`` right after that, ``answer`` before the answer is sent; ``never``.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import SecretStr
from sqlalchemy import event

from sitin.api.app import create_app
from sitin.cli.house import furnish
from sitin.cli.installation import installation
from sitin.cli.settings import Settings, calendar_settings, transcription_settings
from sitin.kit.database import Database
from sitin.providers.calendars.registry import build_calendar_providers
from sitin.providers.transcription.registry import build_engines


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_database(database: Database, moment: str) -> None:
    """Die before the effect's first row, before its commit, or after it."""
    engine = database.engine.sync_engine

    @event.listens_for(engine, "before_cursor_execute")
    def look(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO bots"):
            match moment:
                case "effect":
                    die()
                case "commit":
                    event.listen(connection, "commit", die)
                case "committed":
                    event.listen(engine.pool, "checkin", die)


def dying_before_the_answer(app: Any) -> Any:
    """The application, which dies instead of answering a POST."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        async def send_or_die(message: Any) -> None:
            if scope["type"] == "http" and scope["method"] == "POST":
                die()
            await send(message)

        await app(scope, receive, send_or_die)

    return run


async def main(url: str, key: str, directory: str, moment: str) -> None:
    settings = Settings(
        data_dir=Path(directory),
        database_url=SecretStr(url),
        secret_keys=[SecretStr(key)],
        max_bots=0,
    )
    engines = build_engines(transcription_settings())
    providers = build_calendar_providers(calendar_settings())
    async with installation(settings) as install:
        house = furnish(install, engines, providers, public_url="http://127.0.0.1:9")
        app: Any = create_app(house.services)
        die_in_the_database(install.database, moment)
        if moment == "answer":
            app = dying_before_the_answer(app)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
            config = uvicorn.Config(app, log_level="error", lifespan="off")
            await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
