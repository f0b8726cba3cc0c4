"""The operator's commands, as they are typed."""

import asyncio
import json
import signal
import socket
import stat
from pathlib import Path

import asyncpg
import httpx
import pytest

from sitin.accounts.service import KEY_HEADER
from sitin.kit.postgres import EmbeddedPostgres
from sitin.kit.tls import trusted
from tests.api.conftest import MEET_URL
from tests.cli.conftest import Machine, a_machine
from tests.disk import small_disk

pytestmark = pytest.mark.e2e


async def test_a_service_its_first_key_and_commands_beside_it(machine: Machine) -> None:
    async with (
        machine.serving() as (url, process),
        httpx.AsyncClient(base_url=url, verify=trusted()) as client,
    ):
        path = machine.data_dir / "api_key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        headers = {KEY_HEADER: path.read_text().strip()}
        created = await client.post(
            "/v2/bots", json={"bot_name": "Notes", "meeting_url": MEET_URL}, headers=headers
        )
        assert created.status_code == 201
        bot_id = created.json()["data"]["bot_id"]
        status = await client.get(f"/v2/bots/{bot_id}/status", headers=headers)
        assert status.json()["data"]["status"] == "queued", "no bot runs on this machine"

        team = await machine.json("team", "create", "--name", "Acme")
        headers = {KEY_HEADER: team["api_key"]}
        assert (await client.get("/v2/bots", headers=headers)).json()["data"] == []
        key = await machine.json(
            "key", "create", "--team", team["team_id"], "--permission", "sending_access"
        )
        assert (await client.get("/v2/bots", headers={KEY_HEADER: key["api_key"]})).is_error
        endpoint = await machine.json(
            "webhook", "create", "--team", team["team_id"], "--url", "https://a.example/hook"
        )
        assert endpoint["secret"].startswith("whsec_")
        assert await machine.json("job", "list") == []
        assert await machine.json("job", "requeue") == {"requeued": 0}
        assert (await client.get("/readyz")).status_code == 200, "the commands left it running"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await process.wait() == 0

    first = (machine.data_dir / "api_key").read_text()
    async with (
        machine.serving() as (url, _),
        httpx.AsyncClient(base_url=url, verify=trusted()) as client,
    ):
        assert (machine.data_dir / "api_key").read_text() == first
        listed = await client.get("/v2/bots", headers={KEY_HEADER: first.strip()})
        assert [bot["bot_id"] for bot in listed.json()["data"]] == [bot_id]


async def test_a_port_in_use_is_one_sentence_and_nothing_written(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, output, errors = await machine.run("serve", "--port", port)
    assert code == 1
    assert output == ""
    assert errors.count("\n") == 1
    assert f"Cannot listen on 127.0.0.1:{port} (Address already in use): stop " in errors
    assert "--port" in errors
    assert not machine.data_dir.exists()


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",)])
async def test_without_a_browser_nothing_begins(machine: Machine, command: tuple[str, ...]) -> None:
    code, output, errors = await machine.run(
        *command, SITIN_BROWSER_PATH="/no/browser", SITIN_MAX_BOTS="1"
    )
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert "SITIN_BROWSER_PATH" in errors
    assert not machine.data_dir.exists()


@pytest.mark.parametrize("size", ["16k", "60m"], ids=["full", "filling up at the first start"])
@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("team", "list")])
async def test_a_full_disk_is_one_sentence_and_nothing_written(
    reachable_path: Path, command: tuple[str, ...], size: str
) -> None:
    with small_disk(reachable_path / "small", size) as disk:
        async with a_machine(disk / "data", SITIN_MAX_BOTS="0") as machine:
            code, output, errors = await machine.run(*command)
            assert (code, output) == (1, "")
            assert errors.count("\n") == 1
            assert "There is no space left on the disk of" in errors
            assert list(disk.iterdir()) == []


async def test_a_database_of_a_newer_version_is_one_sentence(machine: Machine) -> None:
    await machine.json("team", "create", "--name", "Acme")
    postgres = EmbeddedPostgres(machine.data_dir)
    connection = await asyncpg.connect(await asyncio.to_thread(postgres.start))
    await connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    await connection.close()
    await asyncio.to_thread(postgres.stop)
    for command in (("serve", "--port", "0"), ("team", "list"), ("team", "create", "--name", "B")):
        code, output, errors = await machine.run(*command)
        assert (code, output) == (1, "")
        assert errors.count("\n") == 1
        assert "newer sitin (revision 9999_future)" in errors


async def test_wrong_settings_are_one_sentence(machine: Machine) -> None:
    code, output, errors = await machine.run("team", "create", "--name", "x", SITIN_MAX_BOTS="many")
    assert (code, output) == (1, "")
    assert errors.startswith("SITIN_MAX_BOTS: ")
    assert errors.count("\n") == 1


async def test_what_a_command_cannot_do_is_one_sentence(machine: Machine) -> None:
    nobody = "01890a5d-ac96-774b-bcce-b302099a8057"
    code, output, errors = await machine.run(
        "key", "create", "--team", nobody, "--permission", "full_access", "--json"
    )
    assert (code, output) == (1, "")
    assert nobody in errors
    assert errors.count("\n") == 1
    team = await machine.json("team", "create", "--name", "Acme")
    for arguments in (
        ("--url", "http://127.0.0.1/hook"),
        ("--url", "nowhere"),
        ("--url", "https://a.example/", "--event", "bot.done"),
    ):
        code, output, errors = await machine.run(
            "webhook", "create", "--team", team["team_id"], *arguments
        )
        assert (code, output) == (1, "")
        assert errors.count("\n") == 1


async def test_a_second_machine_needs_a_storage_that_both_see(machine: Machine) -> None:
    code, _, errors = await machine.run(
        "worker",
        SITIN_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        SITIN_SECRET_KEYS="k" * 43,
    )
    assert code == 1
    assert "SITIN_STORAGE_URL" in errors
    assert errors.count("\n") == 1


async def test_the_doctor_says_what_to_do(machine: Machine) -> None:
    code, output, errors = await machine.run("doctor", SITIN_BROWSER_PATH="/no/browser")
    assert code == 1
    lines = output.splitlines()
    assert [line.split()[1].rstrip(":") for line in lines] == [
        "browser",
        "isolation",
        "memory",
        "disk",
        "database",
        "storage",
        "port",
        "metrics",
        "demo",
    ]
    assert "SITIN_BROWSER_PATH" in lines[0], errors
    assert lines[4].startswith("ok")


async def test_the_doctor_starts_the_browser_as_a_bot_does(
    machine: Machine, reachable_path: Path
) -> None:
    broken = reachable_path / "chromium"
    broken.write_text("#!/bin/sh\n[ $1 = --version ] && echo Chromium 1\n")
    broken.chmod(0o755)
    found = {}
    for name, path in (("whole", "/usr/bin/chromium"), ("broken", str(broken))):
        _, output, _ = await machine.run("doctor", "--json", SITIN_BROWSER_PATH=path)
        found[name] = {one["what"]: one for one in json.loads(output)}["browser"]
    assert found["whole"]["well"], found["whole"]
    assert found["whole"]["told"].endswith(", started")
    assert not found["broken"]["well"]
    assert f"{broken} did not start on this machine" in found["broken"]["told"]
