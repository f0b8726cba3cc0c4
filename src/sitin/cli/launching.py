"""How this machine starts bots: which browser, where they record, as which users.

Used by ``wiring`` and by the doctor, so that what the doctor tries is what a bot gets.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sitin.cli.machine import recordings_directory
from sitin.cli.settings import Settings
from sitin.contract.spec import BrowserSpec
from sitin.kit.errors import OperatorError
from sitin.runner import firewall, isolation, landlock
from sitin.runner.supervisor import Supervisor as BotProcesses

_STARTED_WITHIN = 30.0
"""Seconds for an interpreter that does nothing; a busy machine takes two."""
_OPENED_WITHIN = 60.0
"""Seconds for a browser to open and close; a busy machine takes five."""
_NOBODY = UUID(int=0)
"""A bot that there is not."""


def browser_spec(settings: Settings) -> BrowserSpec:
    """The browser of every bot of this machine."""
    return BrowserSpec(
        path=str(settings.browser_path),
        lean_path=str(settings.lean_browser) if settings.lean_browser else None,
        host_rules=settings.browser_host_rules,
        args=settings.browser_args,
        media_addresses=settings.browser_media_addresses,
        allow_private_addresses=settings.allow_private_addresses,
    )


async def bot_processes(settings: Settings) -> BotProcesses:
    """The launcher of this machine's bots. Raises ``OperatorError``."""
    recordings = await asyncio.to_thread(recordings_directory, settings.data_dir)
    return BotProcesses(recordings, memory_cap=settings.bot_memory << 20)


async def check_browsers(settings: Settings) -> str:
    """The browsers that bots are started with, and their versions. Raises ``OperatorError``."""
    versions = [await _version(settings.browser_path)]
    if settings.lean_browser is not None:
        lean = await _version(settings.lean_browser)
        versions.append(f"{settings.lean_browser}: {lean}")
    return "; ".join(versions)


async def _version(path: Path) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            str(path),
            "--version",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be run ({error.strerror}): install Chromium, or set "
            "SITIN_BROWSER_PATH to one."
        ) from None
    try:
        async with asyncio.timeout(_STARTED_WITHIN):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise OperatorError(f"{path} does not say its version: reinstall it.") from None
    if process.returncode != 0:
        raise OperatorError(f"{path} ends with {process.returncode}: reinstall it.")
    return output.decode(errors="replace").strip()


async def try_browsers(settings: Settings) -> str:
    """Start them as a bot's is started, too; takes some seconds. Raises ``OperatorError``."""
    versions = await check_browsers(settings)
    isolation.check()
    spec = browser_spec(settings)
    for path in filter(None, (spec.path, spec.lean_path)):
        trial = ["-m", "sitin.runner.trial", spec.model_dump_json(), path]
        programs = isolation.program_directories([path])
        said = await _as_a_bot(trial, within=_OPENED_WITHIN, readable=programs)
        if said.failure is not None:
            raise OperatorError(
                f"{said.failure.rstrip('.')}: run it with --headless to see why, and reinstall it "
                "or set SITIN_BROWSER_PATH to another."
            )
    return f"{versions}, started"


@dataclass(frozen=True, slots=True)
class IsolationReport:
    """How far the bots of this machine are kept apart from it and from each other."""

    held: tuple[str, ...]
    """What applies, each as a part of a sentence."""
    missing: tuple[str, ...]
    """What does not, with the reason and, where there is one, the remedy."""

    @property
    def sentence(self) -> str:
        """All of it."""
        return "; ".join((*self.held, *(f"not: {one}" for one in self.missing)))


async def check_isolation() -> IsolationReport:
    """Start an interpreter as a bot's is started, and have it look around.

    Raises ``OperatorError``.
    """
    isolation.check()
    said = await _as_a_bot(["-m", "sitin.runner.probe"], within=_STARTED_WITHIN)
    if said.failure is not None:
        raise OperatorError(
            f"Bots cannot run as users of their own here ({said.failure}): install sitin where "
            "every user may read it, or run it as another user than root."
        )
    return _report(
        json.loads(said.output),
        own_user=isolation.identity_for(_NOBODY) is not None,
        no_tree=await asyncio.to_thread(isolation.private_tree_failure),
        no_firewall=await asyncio.to_thread(firewall.failure),
    )


def _report(
    probed: Mapping[str, Any], *, own_user: bool, no_tree: str | None, no_firewall: str | None
) -> IsolationReport:
    held, missing = [], []

    def tell(well: bool, what: str, gap: str) -> None:
        if well:
            held.append(what)
        else:
            missing.append(gap)

    if own_user:
        held.append("every bot runs as a user of its own")
    else:
        missing.append("a user of its own for every bot (sitin does not run as root)")
    tell(no_tree is None, "in its own file tree", f"a file tree of its own ({no_tree})")
    off = probed["sandbox"]
    tell(off is None, "in Chromium's sandbox", f"Chromium's sandbox ({off})")
    abi = int(probed["landlock"])
    if no_firewall is None:
        held.append("TCP and UDP behind a firewall")
    elif abi >= landlock.FIRST_VERSION_WITH_TCP:
        held.append("TCP by Landlock")
        missing.append(f"a firewall ({no_firewall}), so that browsers may send UDP anywhere")
    else:
        missing.append(
            f"a firewall ({no_firewall}) or TCP by Landlock (Linux 6.7), so that a browser that is "
            "broken into reaches what this machine reaches"
        )
    tell(
        abi >= landlock.FIRST_VERSION_WITH_SCOPES,
        "without others' abstract sockets",
        "without others' abstract sockets (Landlock of Linux 6.12)",
    )
    if abi == 0:
        missing.append("the browser's files by Landlock (the kernel lacks it, or does not use it)")
    unfiltered = probed["system_calls"]
    tell(unfiltered is None, "with a filter of system calls", f"a filter of them ({unfiltered})")
    return IsolationReport(tuple(held), tuple(missing))


@dataclass(frozen=True, slots=True)
class _Said:
    failure: str | None
    output: str = ""


async def _as_a_bot(
    arguments: list[str], *, within: float, readable: tuple[Path, ...] = ()
) -> _Said:
    """Run the interpreter as a bot's; what it said, or said at last when that failed."""
    command = [sys.executable, "-I", *arguments]
    identity = isolation.identity_for(_NOBODY)
    process = await asyncio.create_subprocess_exec(
        *isolation.confined(command, identity, isolation.FileTree(readable=readable)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath)},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(within):
            output, said = await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        return _Said("it did not start in time")
    if process.returncode == 0:
        return _Said(None, output.decode())
    lines = said.decode(errors="replace").strip().splitlines()
    return _Said(lines[-1] if lines else "no reason given")
