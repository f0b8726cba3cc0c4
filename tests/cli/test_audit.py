"""The audit log of commands, and ``sitin audit``, which shows it.

The commands run in this process, because there are many.
"""

import asyncio
import json
import os
import pwd
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from sitin.accounts.audit import record
from sitin.cli.actors import change_by_command, user_name
from sitin.cli.house import furnish
from sitin.cli.installation import first_team, installation
from sitin.cli.main import app
from sitin.cli.settings import Settings, calendar_settings, transcription_settings
from sitin.kit.clock import SystemClock, iso
from sitin.kit.crypto import new_key
from sitin.kit.errors import OperatorError
from sitin.kit.ids import new_id
from sitin.providers.calendars.registry import build_calendar_providers
from sitin.providers.transcription.registry import build_engines
from tests.lint.test_docs import commands
from tests.notifications.conftest import Post, post

__all__ = ["post"]

USER = pwd.getpwuid(os.getuid()).pw_name


@dataclass
class Console:
    """The commands, on the database of a delivery."""

    post: Post

    async def run(self, *arguments: str) -> Result:
        settings = {
            "SITIN_DATABASE_URL": self.post.database.url,
            "SITIN_SECRET_KEYS": self.post.key,
            "SITIN_ALLOW_PRIVATE_ADDRESSES": "true",
            "SUDO_USER": "",
        }
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, env=settings)

    async def json(self, *arguments: str) -> Any:
        result = await self.run(*arguments, "--json")
        assert result.exit_code == 0, result.exception
        return json.loads(result.stdout)

    async def team(self) -> dict[str, str]:
        made: dict[str, str] = await self.json("team", "create", "--name", "Acme")
        return made

    async def webhook(self) -> tuple[str, str]:
        """A team's id and its endpoint's."""
        team = (await self.team())["team_id"]
        made = await self.json("webhook", "create", "--team", team, "--url", "https://a.example/")
        return team, made["webhook_id"]


@pytest.fixture
def console(post: Post) -> Console:
    return Console(post)


@dataclass(frozen=True)
class Command:
    """What to type, and what the entry then tells; ids that the command makes are in its output."""

    arguments: tuple[str, ...]
    team_id: str | None = None
    object_ids: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    """Fields of the output whose ids are among the objects."""


async def _team_create(_: Console) -> Command:
    return Command(("--name", "Acme", "--tokens", "3"), made=("team_id",))


async def _team_update(console: Console) -> Command:
    team = (await console.team())["team_id"]
    return Command(("--team", team, "--name", "Other"), team, (team,))


async def _key_create(console: Console) -> Command:
    team = (await console.team())["team_id"]
    return Command(("--team", team, "--permission", "full_access"), team, made=("key_id",))


async def _key_revoke(console: Console) -> Command:
    team = (await console.team())["team_id"]
    (key,) = await console.json("key", "list", "--team", team)
    return Command((key["key_id"],), team, (key["key_id"],))


async def _tokens_grant(console: Console) -> Command:
    team = (await console.team())["team_id"]
    return Command(("--team", team, "--amount", "2", "--note", "for Ada"), team, (team,))


async def _webhook_create(console: Console) -> Command:
    team = (await console.team())["team_id"]
    return Command(("--team", team, "--url", "https://b.example/"), team, made=("webhook_id",))


def _to_webhook(*options: str) -> Callable[[Console], Awaitable[Command]]:
    async def prepare(console: Console) -> Command:
        team, webhook = await console.webhook()
        return Command((webhook, *options), team, (webhook,))

    return prepare


async def _webhook_resend(console: Console) -> Command:
    endpoint = await console.post.endpoint("/hook")
    message = str(await console.post.publish())
    return Command((message,), str(console.post.team_id), (message, str(endpoint.id)))


async def _nothing(_: Console) -> Command:
    return Command(())


CHANGING: dict[str, Callable[[Console], Awaitable[Command]]] = {
    "team create": _team_create,
    "team update": _team_update,
    "key create": _key_create,
    "key revoke": _key_revoke,
    "tokens grant": _tokens_grant,
    "webhook create": _webhook_create,
    "webhook update": _to_webhook("--name", "Other"),
    "webhook rotate": _to_webhook(),
    "webhook delete": _to_webhook(),
    "webhook resend": _webhook_resend,
    "job requeue": _nothing,
    "secrets renew": _nothing,
}
READ_ONLY = {
    "team list",
    "key list",
    "tokens ledger",
    "webhook list",
    "webhook messages",
    "webhook attempts",
    "job list",
    "audit",
    "doctor",
}
SERVICES = {"serve", "worker", "demo", "rehearsal serve", "rehearsal calendars"}
"""Run until they are stopped; only the first ``serve`` makes something of its own."""


@pytest.mark.unit
def test_every_command_is_known_as_changing_or_not() -> None:
    """A new command has to be put into one of the lists; into the first with a try of its own."""
    there = {path.removeprefix("sitin ") for path, _ in commands(typer.main.get_command(app))}
    assert there == CHANGING.keys() | READ_ONLY | SERVICES


@pytest.mark.db
@pytest.mark.parametrize("name", CHANGING)
async def test_a_command_that_changes_something_has_an_entry(console: Console, name: str) -> None:
    command = await CHANGING[name](console)
    known = len(await console.json("audit"))
    result = await console.json(*name.split(), *command.arguments)
    entry, *others = await console.json("audit")
    assert len(others) == known
    assert (entry["action"], entry["outcome"]) == (name, "succeeded")
    assert (entry["actor_kind"], entry["actor"]) == ("cli", USER)
    assert (entry["client"], entry["request_id"]) == (socket.gethostname(), None)
    made = [result[field] for field in command.made]
    assert set(entry["object_ids"]) >= {*command.object_ids, *made}
    assert entry["team_id"] == (result.get("team_id") or command.team_id)
    secrets = [result.get(field) for field in ("api_key", "secret")]
    for secret in (*(one for one in secrets if one), "Acme", "Other", "example", "Ada"):
        assert secret not in json.dumps(entry)


@pytest.mark.db
async def test_a_command_that_cannot_be_done_has_one_too(console: Console) -> None:
    nobody = str(new_id())
    for arguments in (
        ("key", "create", "--team", nobody, "--permission", "full_access"),
        ("key", "revoke", nobody),
        ("webhook", "delete", nobody),
        ("webhook", "resend", nobody),
    ):
        result = await console.run(*arguments)
        assert isinstance(result.exception, OperatorError)
        (entry, *_) = await console.json("audit")
        assert (entry["action"], entry["outcome"]) == (" ".join(arguments[:2]), "failed")
        assert nobody in (entry["team_id"], *entry["object_ids"])


@pytest.mark.db
async def test_no_change_without_its_entry(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("the log is broken")

    monkeypatch.setattr("sitin.cli.changes.record", break_down)
    assert (await console.run("team", "create", "--name", "Unwritten")).exit_code == 1
    assert "Unwritten" not in [team["name"] for team in await console.json("team", "list")]


@pytest.mark.db
async def test_the_first_team_has_an_entry(console: Console, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url=SecretStr(console.post.database.url),
        secret_keys=[SecretStr(new_key())],
    )
    async with installation(settings) as install:
        await first_team(install)
        await first_team(install)
    (entry,) = await console.json("audit", "--action", "serve")
    team = next(one for one in await console.json("team", "list") if one["name"] == "default")
    assert entry["team_id"] == team["team_id"]
    (key,) = await console.json("key", "list", "--team", team["team_id"])
    assert set(entry["object_ids"]) == {team["team_id"], key["key_id"]}


@pytest.mark.db
async def test_the_worker_deletes_what_is_no_longer_kept(console: Console, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url=SecretStr(console.post.database.url),
        secret_keys=[SecretStr(new_key())],
        audit_retention=timedelta(hours=1),
    )
    await console.team()
    async with (
        installation(settings) as install,
        aclosing(build_engines(transcription_settings())) as engines,
        aclosing(build_calendar_providers(calendar_settings())) as providers,
    ):
        change = change_by_command("team create")
        async with install.database.transaction() as session:
            old = install.clock.now() - timedelta(hours=2)
            await record(session, change, at=old)
        house = furnish(install, engines, providers, public_url="http://127.0.0.1:9")
        work = {one.name: one.run for one in house.jobs._periodic.values()}
        assert len(await console.json("audit")) == 2
        await work["prune_audit_log"]()
        await work["prune_idempotency_keys"]()
    assert len(await console.json("audit")) == 1


@pytest.mark.db
async def test_filters(console: Console) -> None:
    team, webhook = await console.webhook()
    await console.json("webhook", "rotate", webhook)

    async def actions(*conditions: str) -> list[str]:
        return [entry["action"] for entry in await console.json("audit", *conditions)]

    everything = ["webhook rotate", "webhook create", "team create"]
    assert await actions() == everything
    assert await actions("--team", team) == everything
    assert await actions("--team", str(new_id())) == []
    assert await actions("--object", webhook) == everything[:2]
    assert await actions("--action", "webhook create") == everything[1:2]
    assert await actions("--actor", USER, "--limit", "2") == everything[:2]
    assert await actions("--actor", "nobody") == []
    now = SystemClock().now()
    for since in (
        "1h",
        "90",
        iso(now - timedelta(minutes=1)),
        f"{now - timedelta(days=1):%Y-%m-%d}",
    ):
        assert await actions("--since", since) == everything, since
        assert await actions("--until", since) == [], since
    (last, *_) = await console.json("audit")
    assert await actions("--since", last["at"]) == everything[:1]


@pytest.mark.db
async def test_a_line_for_each_entry(console: Console) -> None:
    team, webhook = await console.webhook()
    lines = (await console.run("audit")).stdout.splitlines()
    assert len(lines) == 2
    for word in ("succeeded", "webhook create", f"by cli {USER}", webhook):
        assert word in lines[0]
    assert team in lines[1]


@pytest.mark.db
@pytest.mark.parametrize("option", ["--since", "--until"])
async def test_what_is_no_time(console: Console, option: str) -> None:
    for wrong in ("yesterday", "2026-13-01", "-1h", "99999999999d"):
        result = await console.run("audit", f"{option}={wrong}")
        assert isinstance(result.exception, OperatorError), wrong
        assert option in result.exception.message
        assert "24h" in result.exception.message


@pytest.mark.unit
@pytest.mark.parametrize(
    ("uid", "sudo_user", "name"),
    [(0, "ada", "ada"), (0, "", "root"), (54_321, "ada", "54321")],
    ids=["by sudo", "root itself", "a user without a name"],
)
def test_who_runs_a_command(
    monkeypatch: pytest.MonkeyPatch, uid: int, sudo_user: str, name: str
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setenv("SUDO_USER", sudo_user)
    assert user_name() == name
