"""What every command works with: the settings, the migrated database, the keys. For commands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy import text

from sitin.accounts.audit import record
from sitin.accounts.models import Permission
from sitin.accounts.plans import Plans
from sitin.accounts.service import create_key, create_team, plans_in_use, team_named
from sitin.bots.configuration import AddressCheck
from sitin.cli.actors import change_by_command
from sitin.cli.settings import Settings
from sitin.kit.clock import Clock, SystemClock
from sitin.kit.crypto import Keyring, keys_of_data_dir
from sitin.kit.database import Database
from sitin.kit.errors import operator_error
from sitin.kit.files import write_private
from sitin.kit.http import OutgoingClient, UrlRefusedError
from sitin.kit.migrate import upgrade
from sitin.kit.postgres import EmbeddedPostgres

DEFAULT_TEAM = "default"

_FIRST_TEAM_LOCK = 0x73_69_74_01

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """What every command works with."""

    settings: Settings
    database: Database
    keyring: Keyring
    clock: Clock
    outgoing: OutgoingClient
    plans: Plans
    postgres: EmbeddedPostgres | None
    """The embedded server, which a long-lived process has to keep running."""


@asynccontextmanager
async def installation(settings: Settings) -> AsyncIterator[Installation]:
    """The migrated database and the keys; joins an embedded Postgres that runs already.

    Raises ``OperatorError``.
    """
    async with contextlib.AsyncExitStack() as stack:
        postgres = None
        if settings.database_url is None:
            postgres = EmbeddedPostgres(settings.data_dir)
            url = await asyncio.to_thread(postgres.start)
            stack.push_async_callback(asyncio.to_thread, postgres.stop)
        else:
            url = settings.database_url.get_secret_value()
        keys = [key.get_secret_value() for key in settings.secret_keys]
        keyring = Keyring(keys or await asyncio.to_thread(keys_of_data_dir, settings.data_dir))
        await upgrade(url)
        database = Database(url)
        stack.push_async_callback(database.dispose)
        outgoing = OutgoingClient(allow_private=settings.allow_private_addresses)
        stack.push_async_callback(outgoing.aclose)
        yield Installation(
            settings, database, keyring, SystemClock(), outgoing, settings.all_plans, postgres
        )


async def first_team(install: Installation) -> None:
    """Make the first team and leave its key in the data directory; once per database."""
    path = install.settings.data_dir / "api_key"
    async with install.database.transaction() as session:
        await session.execute(
            text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _FIRST_TEAM_LOCK}
        )
        if await team_named(session, DEFAULT_TEAM) is not None:
            return
        team = await create_team(session, name=DEFAULT_TEAM)
        key = await create_key(session, team_id=team.id, permission=Permission.FULL_ACCESS)
        change = change_by_command("serve", team_id=team.id, object_ids=[team.id, key.id])
        await record(session, change, at=install.clock.now())
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await asyncio.to_thread(write_private, path, f"{key.text}\n")
        except OSError as error:
            raise operator_error(error, path) from error
    log.info("first_team_made", team_id=str(team.id), key_file=str(path))


async def check_plans(install: Installation) -> None:
    """Raise ``UnknownPlanError`` when a team is on a plan that nobody defines any more."""
    async with install.database.transaction() as session:
        for name in await plans_in_use(session):
            install.plans.of(name)


def address_check(outgoing: OutgoingClient) -> AddressCheck:
    """The check of customers' addresses that bots and commands use."""

    def check(url: str, schemes: Sequence[str]) -> str | None:
        try:
            outgoing.check_url(url, schemes=schemes)
        except UrlRefusedError as error:
            return error.message
        return None

    return check
