"""The secret key is rotated: what the old one encrypted is encrypted anew, and everything works on.

The real commands, on a real database, with calendars of a rehearsal.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from sitin.accounts.service import KEY_HEADER
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.database import Database
from sitin.kit.errors import OperatorError
from sitin.kit.ids import new_id
from sitin.kit.tls import trusted
from sitin.notifications.events import EventType
from sitin.notifications.service import Callback, publish
from sitin.rehearsal.calendars import Account, CalendarRehearsal
from sitin.transcripts.models import Transcript
from tests.api.conftest import MEET_URL
from tests.cli.conftest import Machine
from tests.waiting import until

pytestmark = pytest.mark.e2e

OLD, NEW = new_key(), new_key()
SEALED = re.compile(r"gAAAAA[\w-]+=*")
"""What Fernet makes begins with its version and the first bytes of a time."""

PLACES = {
    "bots.callback_secret",
    "bots.transcription_api_key",
    "calendar_channels.credentials",
    "calendar_credentials.access_token",
    "calendar_credentials.client_id",
    "calendar_credentials.client_secret",
    "calendar_credentials.refresh_token",
    "calendar_credentials.tenant_id",
    "calendar_events.bot",
    "calendar_series.bot",
    "deliveries.callback",
    "scheduled_bots.callback_secret",
    "scheduled_bots.transcription_api_key",
    "transcripts.api_key",
    "webhook_secrets.secret",
}
"""Every column in which this test leaves a secret."""

CONFIGURATION: dict[str, Any] = {
    "bot_name": "Notes",
    "callback_enabled": True,
    "callback_config": {"url": "https://nobody.invalid/hook", "secret": "callback secret"},
    "transcription_enabled": True,
    "transcription_config": {"api_key": "own key"},
}


async def sealed(database: Database) -> dict[str, list[str]]:
    """Every secret in the database, whatever column it is in."""
    found: dict[str, list[str]] = {}
    async with database.transaction() as session:
        columns = await session.execute(
            text(
                "SELECT table_name, column_name FROM information_schema.columns "
                "WHERE table_schema = 'public' "
                "AND data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea')"
            )
        )
        for table, column in columns.all():
            query = text(f'SELECT "{column}"::text FROM "{table}" WHERE "{column}" IS NOT NULL')
            for value in await session.scalars(query):
                found.setdefault(f"{table}.{column}", []).extend(SEALED.findall(value))
    return {place: secrets for place, secrets in found.items() if secrets}


def with_one_key(key: str, secrets: dict[str, list[str]]) -> int:
    """How many of them this key alone can read."""
    return sum(_reads(Keyring([key]), secret) for each in secrets.values() for secret in each)


def _reads(keyring: Keyring, secret: str) -> bool:
    try:
        keyring.decrypt(secret)
    except OperatorError:
        return False
    return True


@asynccontextmanager
async def serving(machine: Machine, *keys: str) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        machine.serving(SITIN_SECRET_KEYS=",".join(keys)) as (url, _),
        httpx.AsyncClient(base_url=url, timeout=60, verify=trusted()) as client,
    ):
        client.headers[KEY_HEADER] = (machine.data_dir / "api_key").read_text().strip()
        yield client


async def well(response: httpx.Response) -> Any:
    assert response.is_success, response.text
    return response.json()


async def connect(client: httpx.AsyncClient, rehearsal: CalendarRehearsal, account: Account) -> str:
    """Connect an account's calendar, and wait until it is synced and pushes."""
    grant = account.grant
    platform = "google" if account.email.endswith("google.example") else "microsoft"
    made = await well(
        await client.post(
            "/v2/calendars",
            json={
                "calendar_platform": platform,
                "oauth_client_id": grant.client.id,
                "oauth_client_secret": grant.client.secret,
                "oauth_refresh_token": account.refresh_token,
                "raw_calendar_id": "primary",
            },
        )
    )
    calendar_id: str = made["data"]["calendar_id"]

    async def ready() -> bool:
        details = (await well(await client.get(f"/v2/calendars/{calendar_id}")))["data"]
        return details["sync_status"] == "success" and details["subscription_id"] is not None

    await until(ready, seconds=60)
    return calendar_id


class Filled:
    """An installation with a secret in every place."""

    def __init__(self, rehearsal: CalendarRehearsal) -> None:
        self.accounts = [
            rehearsal.google.account("ada@google.example"),
            rehearsal.microsoft.account("ada@microsoft.example"),
        ]
        self.rehearsal = rehearsal
        self.calendars: list[str] = []
        self.series: list[str] = []

    async def fill(self, machine: Machine, database: Database) -> None:
        rehearsal = self.rehearsal
        # A subscription that cannot be ended now keeps the credentials of what was deleted.
        rehearsal.google.fault("backend_error", "channels.stop", times=None)
        tomorrow = rehearsal.clock.now() + timedelta(days=1)
        async with serving(machine, OLD) as client:
            gone = await connect(client, rehearsal, rehearsal.google.account("b@google.example"))
            await well(await client.delete(f"/v2/calendars/{gone}"))
            for account in self.accounts:
                account.primary.add(
                    "Weekly", tomorrow, recurrence="RRULE:FREQ=WEEKLY", meeting_url=MEET_URL
                )
                account.primary.add("Once", tomorrow, meeting_url=MEET_URL)
                calendar_id = await connect(client, rehearsal, account)
                events = (await well(await client.get(f"/v2/calendars/{calendar_id}/events")))[
                    "data"
                ]
                (once,) = (one for one in events if one["title"] == "Once")
                weekly = next(one for one in events if one["title"] == "Weekly")
                for target in (
                    {"event_id": once["event_id"], "all_occurrences": False},
                    {"series_id": weekly["series_id"], "all_occurrences": True},
                ):
                    done = await well(
                        await client.post(
                            f"/v2/calendars/{calendar_id}/bots", json={**CONFIGURATION, **target}
                        )
                    )
                    assert done["errors"] == []
                self.calendars.append(calendar_id)
                self.series.append(weekly["series_id"])
            body = {**CONFIGURATION, "meeting_url": MEET_URL, "allow_multiple_bots": True}
            await well(await client.post("/v2/bots", json=body))
            (team,) = await machine.json("team", "list", SITIN_SECRET_KEYS=OLD)
            await machine.json(
                *("webhook", "create", "--team", team["team_id"], "--url", "https://a.example/"),
                SITIN_SECRET_KEYS=OLD,
            )
        # What only a recording and its end would leave.
        keyring = Keyring([OLD])
        async with database.transaction() as session:
            session.add(
                Transcript(
                    bot_id=new_id(),
                    engine="gladia",
                    params={},
                    api_key=keyring.encrypt("own key"),
                    status="queued",
                    duration=1,
                    created_at=tomorrow,
                )
            )
            await publish(
                session,
                team_id=UUID(team["team_id"]),
                event=EventType.BOT_FAILED,
                data={},
                at=tomorrow,
                callback=Callback("https://a.example/", "POST", keyring.encrypt("secret")),
                to_endpoints=False,
            )

    async def works(self, machine: Machine, *keys: str) -> None:
        """Whatever reads a secret does what it should, with these keys."""
        async with serving(machine, *keys) as client:
            for account, calendar_id, series_id in zip(
                self.accounts, self.calendars, self.series, strict=True
            ):
                # The provider is asked for a token, which takes all the credentials.
                account.expire_access()
                await well(await client.post(f"/v2/calendars/{calendar_id}/sync"))
                changed = await client.patch(
                    f"/v2/calendars/{calendar_id}/bots",
                    json={"series_id": series_id, "all_occurrences": True, "bot_name": "Other"},
                )
                assert len((await well(changed))["data"]) > 1
            for bot in (await well(await client.get("/v2/bots/scheduled")))["data"]:
                told = await well(await client.get(f"/v2/bots/scheduled/{bot['bot_id']}"))
                assert told["data"]["callback_config"]["secret"] == "callback secret"


@pytest.fixture
async def filled(machine: Machine, database: Database) -> AsyncIterator[Filled]:
    async with CalendarRehearsal() as rehearsal:
        machine.settings |= dict(rehearsal.environment) | {"SITIN_DATABASE_URL": database.url}
        filled = Filled(rehearsal)
        await filled.fill(machine, database)
        yield filled


async def test_the_old_key_can_go_once_everything_is_renewed(
    machine: Machine, database: Database, filled: Filled
) -> None:
    before = await sealed(database)
    assert set(before) == PLACES
    count = sum(map(len, before.values()))
    assert with_one_key(OLD, before) == count
    both = f"{NEW},{OLD}"

    # Without the old key nothing can be renewed, and nothing is lost.
    code, output, errors = await machine.run("secrets", "renew", "--json", SITIN_SECRET_KEYS=NEW)
    assert code == 1
    assert f'"unreadable": {count}' in output
    assert "append the one" in errors
    assert await sealed(database) == before

    # Killed in the middle: it waits for a table that somebody else has.
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE webhook_secrets IN ACCESS EXCLUSIVE MODE"))
        process = await machine.start("secrets", "renew", SITIN_SECRET_KEYS=both)
        await until(lambda: somebody_waits(database), seconds=60)
        process.kill()
        await process.wait()
    halfway = await sealed(database)
    renewed = with_one_key(NEW, halfway)
    assert 0 < renewed < count
    assert with_one_key(OLD, halfway) == count - renewed
    await filled.works(machine, NEW, OLD)

    # Beside a running service.
    async with serving(machine, NEW, OLD):
        done = await machine.json("secrets", "renew", SITIN_SECRET_KEYS=both)
        assert done["renewed"] > 0
        assert (done["left"], done["unreadable"], done["old_keys_needed"]) == (0, 0, False)
        again = await machine.json("secrets", "renew", SITIN_SECRET_KEYS=both)
        assert again == {"renewed": 0, "left": 0, "unreadable": 0, "old_keys_needed": False}
    after = await sealed(database)
    assert set(after) == PLACES
    assert with_one_key(NEW, after) == sum(map(len, after.values()))
    await filled.works(machine, NEW)


async def somebody_waits(database: Database) -> bool:
    """Whether somebody waits for another's lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with database.transaction() as session:
        return bool(await session.scalar(query))
