"""The room of calendars in a process of its own, to be measured: ``python -m bench.syncer``.

Reads a request of ``bench.calendars`` per line and answers each with a line of JSON:
``{"connect": <body of POST /v2/calendars>}`` with the connection's id, ``{"sync": <id>}`` with
what the sync took. The settings are those of ``sitin``.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import event, select

from sitin.accounts.ledger import Ledger
from sitin.accounts.models import ApiKey, Permission
from sitin.accounts.service import Caller
from sitin.bots.configuration import Configurations
from sitin.calendars.requests import CreateCalendarConnectionRequestBody
from sitin.calendars.tasks import SyncCalendar
from sitin.cli.calendars import Calendars, furnish_calendars
from sitin.cli.installation import Installation, address_check, first_team, installation
from sitin.cli.settings import calendar_settings, load_settings
from sitin.jobs.queue import PostgresJobQueue
from sitin.providers.calendars.registry import build_calendar_providers


class _Statements:
    """Counts what is asked of the database."""

    def __init__(self, install: Installation) -> None:
        self.count = 0
        event.listen(install.database.engine.sync_engine, "before_cursor_execute", self._one)

    def _one(self, *_: Any) -> None:
        self.count += 1


def _memory(field: str) -> int:
    """Bytes of this process: ``VmRSS`` now, ``VmHWM`` the most since the last reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


async def _sync(calendars: Calendars, statements: _Statements, connection_id: UUID) -> Any:
    # What proc(5) calls for to begin the peak anew.
    Path("/proc/self/clear_refs").write_text("5")
    before, memory = statements.count, _memory("VmRSS")
    began, cpu = time.monotonic(), time.process_time()
    await calendars.sync.run(SyncCalendar(connection_id=connection_id))
    return {
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
        "statements": statements.count - before,
        "grown_by": _memory("VmHWM") - memory,
    }


async def _work() -> None:
    settings = load_settings()
    async with installation(settings) as install:
        await first_team(install)
        providers = build_calendar_providers(calendar_settings())
        calendars = furnish_calendars(
            install,
            providers.by_platform,
            configurations=Configurations(
                keyring=install.keyring, check_address=address_check(install.outgoing)
            ),
            ledger=Ledger(install.clock),
            jobs=PostgresJobQueue(),
            public_url="http://127.0.0.1",
        )
        async with install.database.transaction() as session:
            key = (await session.scalars(select(ApiKey))).one()
            caller = Caller(key.team_id, Permission.FULL_ACCESS, install.plans.of("unlimited"))
        statements = _Statements(install)
        try:
            while line := await asyncio.to_thread(sys.stdin.readline):
                match json.loads(line):
                    case {"connect": body}:
                        made = await calendars.connections.create(
                            install.database.transaction,
                            caller,
                            CreateCalendarConnectionRequestBody.model_validate(body),
                        )
                        answer: Any = str(made.id)
                    case {"sync": connection_id}:
                        answer = await _sync(calendars, statements, UUID(connection_id))
                    case unknown:
                        raise ValueError(f"neither connect nor sync: {unknown}")
                print(json.dumps(answer), flush=True)
        finally:
            await providers.aclose()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_work())
