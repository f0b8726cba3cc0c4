"""How this machine starts bots: which browser, where they record, as which users.

Used by ``wiring`` and by the doctor, so that what the doctor tries is what a bot gets.
"""

import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID

from sitin.cli.machine import recordings_directory
from sitin.cli.settings import Settings
from sitin.contract.spec import BrowserSpec
from sitin.kit.errors import OperatorError
from sitin.runner import isolation
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
        failure = await _as_a_bot(trial, within=_OPENED_WITHIN)
        if failure is not None:
            raise OperatorError(
                f"{failure.rstrip('.')}: run it with --headless to see why, and reinstall it or "
                "set SITIN_BROWSER_PATH to another."
            )
    return f"{versions}, started"


async def check_isolation() -> str:
    """Start an interpreter as a bot's is started; what keeps it apart, as a sentence's end.

    Raises ``OperatorError``.
    """
    isolation.check()
    if isolation.identity_for(_NOBODY) is None:
        return "bots run as this user and may read what it may read; as root each has its own"
    failure = await _as_a_bot(["-c", "import sitin"], within=_STARTED_WITHIN)
    if failure is not None:
        raise OperatorError(
            f"Bots cannot run as users of their own here ({failure}): install sitin where every "
            "user may read it, or run it as another user than root."
        )
    return "every bot runs as a user of its own"


async def _as_a_bot(arguments: list[str], *, within: float) -> str | None:
    """Run the interpreter as a bot's; what it said at last when that failed."""
    command = [sys.executable, "-I", *arguments]
    identity = isolation.identity_for(_NOBODY)
    if identity is not None:
        command = isolation.confined(command, identity)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath)},
    )
    try:
        async with asyncio.timeout(within):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return "it did not start in time"
    if process.returncode == 0:
        return None
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no reason given"
