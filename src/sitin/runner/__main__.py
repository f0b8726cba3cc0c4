"""The process of one bot: ``python -m sitin.runner PLACE [--recover CODE]``.

Started by the supervisor in a place of the bot's own (see ``places.py``), which holds its order.
With ``--recover`` no meeting is joined: what a crashed runner left is put together and its spool is
ended with that code; ``--without-files`` ends it even where the files cannot be read.
"""

import argparse
import asyncio
import faulthandler
import logging
import resource
import signal
import sys
from pathlib import Path

import structlog

from sitin.contract.codes import EndReason
from sitin.contract.events import Ended
from sitin.contract.spec import BotSpec
from sitin.runner.places import Place
from sitin.runner.spool import Spool, read_spool

log = structlog.get_logger()


def main() -> int:
    """Run one bot or recover one."""
    parser = argparse.ArgumentParser(prog="sitin.runner")
    parser.add_argument("place", type=Path)
    parser.add_argument("--recover", type=EndReason, default=None, metavar="CODE")
    parser.add_argument("--without-files", action="store_true")
    arguments = parser.parse_args()
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
            asyncio.run(_run(spec, directory, spool))
    finally:
        spool.close()
    return 0


async def _run(spec: BotSpec, directory: Path, spool: Spool) -> None:
    # Late, because recovering needs no browser.
    from sitin.platforms.registry import ADAPTERS
    from sitin.runner.control import ControlServer
    from sitin.runner.processes import announce
    from sitin.runner.session import Session

    session = Session(spec, directory, spool, ADAPTERS[spec.platform])
    control = ControlServer(directory, spool, on_leave=session.leave)
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
    from sitin.runner.assemble import assemble

    events = read_spool(directory)
    if events and isinstance(events[-1].body, Ended):
        return
    recording = assemble(directory, events, complete=False) if files else None
    spool.append(Ended(reason=code, recording=recording))


if __name__ == "__main__":
    sys.exit(main())
