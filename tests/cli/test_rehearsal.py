"""``sitin rehearsal serve`` and ``sitin rehearsal calendars`` as processes."""

import asyncio
import json
import signal
import socket
import ssl
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from sitin.cli.rehearsal import app
from sitin.kit.tls import trusted
from tests.rehearsal.sounds import tone, write_wav

REHEARSAL = [sys.executable, "-c", "from sitin.cli.rehearsal import app; app()"]
COMMAND = [*REHEARSAL, "serve"]


def speech(directory: Path) -> Path:
    directory.mkdir()
    write_wav(directory / "ada-1.wav", tone((1.0, True)))
    (directory / "transcripts.json").write_text('{"ada-1.wav": "hello"}')
    return directory


@pytest.mark.e2e
async def test_it_tells_what_a_bot_needs_and_ends_cleanly(tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "--speech",
        str(speech(tmp_path / "speech")),
        "--truth",
        str(truth),
        "--json",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    told = json.loads(await process.stdout.readline())
    assert told["meetings"] == ["https://meet.google.com/abc-defg-hij"]
    rules = told["environment"]["SITIN_BROWSER_HOST_RULES"]
    port = told["control_url"].split(":")[2].split("/")[0]
    assert rules.startswith(f"MAP meet.google.com 127.0.0.1:{port}")
    assert "--ignore-certificate-errors-spki-list=" in told["environment"]["SITIN_BROWSER_ARGS"]
    trust = ssl.create_default_context(cafile=told["certificate"])
    async with httpx.AsyncClient(verify=trust) as client:
        state = (await client.get(f"{told['control_url']}/meetings/abc-defg-hij")).json()
    assert state["participants"] == ["ada"]
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert await process.stdout.read() == b""
    assert (truth / "abc-defg-hij.truth.json").is_file()


@pytest.mark.unit
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--script", "none.json"], "none.json: cannot be read"),
        (["--speech", "none"], "transcripts.json: cannot be read"),
        (["--speech", "none", "--script", "none.json"], "give scripts or a directory"),
    ],
)
def test_what_cannot_be_held_ends_it_with_one_sentence(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["serve", *arguments])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.unit
def test_two_scripts_may_not_share_a_code(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in paths:
        path.write_text('{"participants": [{"name": "Ada"}]}')
    result = CliRunner().invoke(
        app, ["serve", "--script", str(paths[0]), "--script", str(paths[1])]
    )
    assert result.exit_code == 1
    assert "two scripts have the code 'abc-defg-hij'" in result.stderr


@pytest.mark.e2e
async def test_calendars_are_held_and_told_with_all_that_a_connection_needs() -> None:
    process = await asyncio.create_subprocess_exec(
        *REHEARSAL, "calendars", "--json", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    told = json.loads(await process.stdout.readline())
    settings = told["environment"]
    assert set(settings) == {
        "SITIN_GOOGLE_TOKEN_URL",
        "SITIN_GOOGLE_API_URL",
        "SITIN_MICROSOFT_LOGIN_URL",
        "SITIN_MICROSOFT_GRAPH_URL",
    }
    google, microsoft = told["google"], told["microsoft"]
    tenant = f"{settings['SITIN_MICROSOFT_LOGIN_URL']}/{microsoft['oauth_tenant_id']}"
    graph = f"{settings['SITIN_MICROSOFT_GRAPH_URL']}/v1.0/me/calendars"
    list_url = f"{settings['SITIN_GOOGLE_API_URL']}/calendar/v3/users/me/calendarList"
    async with httpx.AsyncClient(trust_env=False, verify=trusted()) as client:
        for grant, token_url, url, key in (
            (google, settings["SITIN_GOOGLE_TOKEN_URL"], list_url, "items"),
            (microsoft, f"{tenant}/oauth2/v2.0/token", graph, "value"),
        ):
            form = {
                "grant_type": "refresh_token",
                "client_id": grant["oauth_client_id"],
                "client_secret": grant["oauth_client_secret"],
                "refresh_token": grant["oauth_refresh_token"],
            }
            token = (await client.post(token_url, data=form)).json()["access_token"]
            answer = await client.get(url, headers={"authorization": f"Bearer {token}"})
            listed = [one["id"] for one in answer.json()[key]]
            assert listed == [one["id"] for one in grant["calendars"]]
        page = (await client.get(told["page_url"])).text
        state = (await client.get(f"{told['control_url']}/")).json()
    assert page.count("Standup") > 30
    assert state["google"]["accounts"][0]["email"] == google["email"]
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert await process.stdout.read() == b""


@pytest.mark.unit
def test_a_port_in_use_ends_it_with_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["calendars", "--port", port])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"port {port} on 127.0.0.1 cannot be had")


@pytest.mark.e2e
async def test_calendars_are_told_to_people_as_settings_and_comments() -> None:
    process = await asyncio.create_subprocess_exec(
        *REHEARSAL, "calendars", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("# control: "):
        lines.append((await process.stdout.readline()).decode().rstrip())
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0
    assert sum(line.startswith("SITIN_") for line in lines) == 4
    assert "# google email: ada@example.com" in lines
    assert any(line.startswith("# microsoft calendar Interviews: AAMk") for line in lines)
