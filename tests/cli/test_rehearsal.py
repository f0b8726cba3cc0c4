"""``sitin rehearsal serve`` as a process."""

import asyncio
import json
import signal
import ssl
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from sitin.cli.rehearsal import app
from tests.rehearsal.sounds import tone, write_wav

COMMAND = [sys.executable, "-c", "from sitin.cli.rehearsal import app; app()", "serve"]


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
