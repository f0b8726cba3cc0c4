"""The process of one bot: ``python -m sitin.runner PLACE [--recover CODE]``.

Started by the supervisor in a place of the bot's own (see ``places.py``), which holds its order.
With ``--recover`` no meeting is joined: what a crashed runner left is put together and its spool is
ended with that code; ``--without-files`` ends it even where the files cannot be read.
"""

import argparse
import asyncio
import errno
import faulthandler
import logging
import os
import resource
import signal
import sys
from collections.abc import Awaitable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sitin.contract.codes import EndReason
from sitin.contract.events import Ended
from sitin.contract.spec import BotSpec
from sitin.runner.places import NO_SPACE, Place
from sitin.runner.spool import Spool, read_spool

if TYPE_CHECKING:
    from playwright.async_api import Playwright

    from sitin.runner.browser_surroundings import BrowserSurroundings


def main() -> int:
    """Run one bot or recover one."""
    parser = argparse.ArgumentParser(prog="sitin.runner")
    parser.add_argument("place", type=Path)
    parser.add_argument("--recover", type=EndReason, default=None, metavar="CODE")
    parser.add_argument("--without-files", action="store_true")
    parser.add_argument("--listeners", metavar="PROXY,CAPTURE", help="inherited descriptors")
    arguments = parser.parse_args()
    _log_json()
    # Asked for by the supervisor before it kills a runner that has stopped answering.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    place = Place(arguments.place)
    spec = place.read_spec()
    directory = place.files
    spool = Spool(directory, spec.fencing_token)
    try:
        if arguments.recover is not None:
            _recover(directory, spool, arguments.recover, files=not arguments.without_files)
        else:
            _join(spec, directory, spool, arguments.listeners)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return NO_SPACE
    finally:
        spool.close()
    return 0


def _log_json() -> None:
    # Its module for developers' terminals would load rich, 5 MB that are never used here.
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def _join(spec: BotSpec, directory: Path, spool: Spool, descriptors: str | None) -> None:
    # Late, because recovering needs no browser.
    import structlog

    from sitin.runner.browser_surroundings import browser_surroundings
    from sitin.runner.chromium_sandbox import unusable_because
    from sitin.runner.listeners import Listeners

    unusable = unusable_because()
    if unusable is not None:
        structlog.get_logger().warning("chromium_sandbox_off", reason=unusable)
    listeners = Listeners.inherited(descriptors) if descriptors else None
    sandboxed = unusable is None
    with browser_surroundings(directory, sandboxed=sandboxed, listeners=listeners) as surroundings:
        asyncio.run(_run(spec, directory, spool, surroundings))


async def _run(
    spec: BotSpec, directory: Path, spool: Spool, surroundings: "BrowserSurroundings"
) -> None:
    from sitin.runner.browser import starting_driver

    async with starting_driver(surroundings.confinement(spec.browser)) as driver:
        # The driver starts on another core meanwhile.
        await asyncio.to_thread(import_module, "sitin.runner.session")
        await _attend(spec, directory, spool, driver, surroundings)


async def _attend(
    spec: BotSpec,
    directory: Path,
    spool: Spool,
    driver: "Awaitable[Playwright]",
    surroundings: "BrowserSurroundings",
) -> None:
    import structlog

    from sitin.platforms.registry import ADAPTERS
    from sitin.runner.control import ControlServer
    from sitin.runner.processes import announce
    from sitin.runner.session import Session

    log = structlog.get_logger()
    adapter = ADAPTERS[spec.platform]
    session = Session(spec, directory, spool, adapter, driver, surroundings)
    control = ControlServer(
        directory, spool, on_leave=session.leave, on_other_bots=session.tell_other_bots
    )
    await control.open()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, session.terminate)
    announce(directory)
    try:
        await session.run()
    except Exception:
        # The outermost edge of a bot: whatever it was, its supervisor is told how it ended.
        log.exception("session failed")
        _recover(directory, spool, EndReason.GENERAL_ERROR, files=True)
    finally:
        await control.close()


def _recover(directory: Path, spool: Spool, code: EndReason, *, files: bool) -> None:
    from sitin.runner.assemble import AFTERWARDS, assemble

    events = read_spool(directory)
    if events and isinstance(events[-1].body, Ended):
        return
    os.setpriority(os.PRIO_PROCESS, 0, AFTERWARDS)
    recording = assemble(directory, events, complete=False) if files else None
    spool.append(Ended(reason=code, recording=recording))


if __name__ == "__main__":
    sys.exit(main())
