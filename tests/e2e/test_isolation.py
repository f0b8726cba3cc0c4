"""A bot in a meeting: what its browser's processes are, and what code that runs as them reaches.

The service, its database, its browser and the meeting are the real ones.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sitin.runner import chromium_sandbox, firewall, isolation
from sitin.runner.isolation import RUNNERS_GID
from tests.cli.conftest import Machine
from tests.e2e.conftest import Hold
from tests.e2e.customer import Customer
from tests.e2e.test_survival import browser, runner

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root gives bots users of their own"),
    pytest.mark.skipif(firewall.failure() is not None, reason="no nftables here"),
    pytest.mark.skipif(isolation.private_tree_failure() is not None, reason="no bubblewrap here"),
]

TALK = [
    {"at": 1, "do": "say", "who": "Ada Martin", "text": "We talk while somebody tries to get out."},
    {"at": 5, "do": "say", "who": "Ben Okafor", "text": "Nobody has got out of here so far, no."},
    {"at": 14, "do": "end"},
]
_CONNECT = """
import socket, sys
kind, target = sys.argv[1:]
if kind == "unix":
    socket.socket(socket.AF_UNIX).connect(target)
host, _, port = target.rpartition(":")
if kind == "tcp":
    socket.create_connection((host, int(port)), 5)
if kind == "udp":
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (host, int(port)))
"""


def status(process: psutil.Process) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def namespace(process: psutil.Process, kind: str) -> str:
    return str(Path(f"/proc/{process.pid}/ns/{kind}").readlink())


def as_browser(process: psutil.Process, kind: str, target: str) -> str:
    """Connect as the user of the browser, in its file tree; the error, or nothing."""
    ids = status(process)
    uid, gid = ids["Uid"].split()[0], ids["Gid"].split()[1]
    command = ["nsenter", f"--target={process.pid}", "--mount", "--"]
    command += ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]
    command += [sys.executable, "-I", "-c", _CONNECT, kind, target]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    return result.stderr.strip().splitlines()[-1] if result.returncode else ""


async def test_a_bots_browser_is_confined_and_its_meeting_is_recorded(
    hold: Hold, machine: Machine, customer: Customer
) -> None:
    meeting = await hold(timeline=TALK)
    bot = await customer.send(meeting.url)
    await bot.reached("in_call_recording")
    await meeting.reached(2)
    program = browser(bot)
    # By descent: Chromium's renderers have overwritten the environment that names the bot.
    browsers = [program, *program.children(recursive=True)]
    uid = status(runner(bot))["Uid"].split()[0]
    assert status(runner(bot))["Gid"].split()[1] == str(RUNNERS_GID)
    for process in browsers:
        ids = status(process)
        assert {*ids["Uid"].split(), *ids["Gid"].split()} == {uid}, process.cmdline()
        assert ids["NoNewPrivs"] == "1"
        assert ids["Seccomp"] == "2"
    if await asyncio.to_thread(sandbox_is_to_be_had, uid):
        lines = {one: " ".join(one.cmdline()) for one in browsers}
        assert not any("--no-sandbox" in line for line in lines.values())
        renderers = [one for one, line in lines.items() if "--type=renderer" in line]
        assert renderers, lines
        for one in renderers:
            assert namespace(one, "net") != namespace(program, "net")
            assert namespace(one, "user") != namespace(program, "user")
    api = f"{customer.client.base_url.host}:{customer.client.base_url.port}"
    database = (machine.data_dir / "postgres" / "run" / ".s.PGSQL.5432").resolve()
    assert database.is_socket()
    private = ("169.254.169.254:80", "10.0.0.1:443", "192.168.1.1:5432")
    attempts = [("unix", str(database)), ("tcp", api)]
    attempts += [(kind, one) for kind in ("tcp", "udp") for one in private]
    found = {one: await asyncio.to_thread(as_browser, program, *one) for one in attempts}
    assert all(found.values()), found
    assert found["unix", str(database)].startswith("FileNotFoundError"), found
    assert found["tcp", api].startswith("ConnectionRefusedError"), found
    await bot.over()
    assert bot.statuses[-1] == "completed", bot.statuses
    assert int(uid) not in isolation.uids_in_use()


def sandbox_is_to_be_had(uid: str) -> bool:
    """Whether the kernel gives an ordinary user what Chromium's sandbox is made of."""
    script = "from sitin.runner.chromium_sandbox import unusable_because as ask; print(ask())"
    result = subprocess.run(
        [sys.executable, "-I", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        user=int(uid),
        group=int(uid),
        cwd="/",
    )
    assert chromium_sandbox.unusable_because() is not None, "this is root"
    return result.stdout.strip() == "None"
