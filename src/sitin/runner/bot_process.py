"""Starts the processes of one bot: their user, file tree, ports, firewall. For the supervisor."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from prometheus_client import Counter

from sitin.contract.failures import RetriableError
from sitin.contract.spec import BotSpec, BrowserSpec
from sitin.runner import firewall
from sitin.runner.firewall import Firewall, FirewallError
from sitin.runner.isolation import FileTree, Identity, confined_runner, program_directories
from sitin.runner.listeners import Listeners
from sitin.runner.media_addresses import (
    MediaAddresses,
    addresses_of_rules,
    parse_media_addresses,
)
from sitin.runner.places import Place
from sitin.runner.processes import MARK, RunnerProcess
from sitin.runner.proxy import HostRules

log = structlog.get_logger()

RESTORED = Counter(
    "sitin_bot_firewall_restored_total",
    "Times that a running bot was missing from the firewall and was put back.",
)

_MARGIN = 6 * 3600.0
"""Seconds that a bot's processes may go on beyond the limits of its order; generous, because its
confinement ends with them."""
_SMALL = {
    # Playwright's driver without a compiler and with a small nursery: 25 MB of 120; it relays two
    # messages a second.
    "NODE_OPTIONS": "--jitless --max-semi-space-size=1 --no-node-snapshot",
    # Arenas for threads that allocate little.
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
    # Looking for pydantic's plugins reads the metadata of every package that is installed.
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}
"""Environment that keeps a bot's processes small."""

Process = asyncio.subprocess.Process


async def start(place: Place, command: Sequence[str]) -> Process:
    """Starts a bot's program in its place. ``command`` is its interpreter with ``-I`` and the rest.

    Raises ``OSError``, and ``RetriableError`` when the firewall cannot be told of it.
    """
    spec = place.read_spec()
    async with _listening() as listeners:
        place.ports.write_text(json.dumps(listeners.ports))
        await admit(place, spec)
        arguments = [*command, "--listeners", ",".join(map(str, listeners.descriptors))]
        return await spawn(place, spec, arguments, pass_fds=listeners.descriptors)


async def spawn(
    place: Place, spec: BotSpec, command: Sequence[str], *, pass_fds: Iterable[int] = ()
) -> Process:
    """Starts a program as the bot, without ports."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(place.files),
        "TMPDIR": str(place.files),
        "LANG": "C.UTF-8",
        **_SMALL,
    }
    tree = FileTree(
        own=place.root,
        readable=_readable(spec.browser, command),
        environment=((MARK, str(spec.bot_id)),),
    )
    with place.log.open("ab") as log_file:
        return await asyncio.create_subprocess_exec(
            *confined_runner(command[2:], place.identity, tree),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            cwd="/",
            # Nothing of the worker's own environment: it holds keys.
            env=environment,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )


async def admit(place: Place, spec: BotSpec) -> None:
    """Confines the bot's user to the network that its browser needs, where there is a firewall.

    Raises ``RetriableError``.
    """
    identity = place.identity
    if identity is None or await asyncio.to_thread(firewall.failure) is not None:
        return
    timeouts = spec.timeouts
    try:
        await Firewall().admit(
            identity,
            ports=json.loads(place.ports.read_text()),
            media=_media_addresses(spec.browser),
            lifetime=timeouts.waiting_room + timeouts.recording + _MARGIN,
        )
    except FirewallError as error:
        raise RetriableError(f"The firewall cannot be told of the bot: {error}.") from error


async def keep_admitted(place: Place, spec: BotSpec) -> None:
    """Puts a running bot back into the firewall if somebody has emptied that."""
    identity = place.identity
    if (
        identity is None
        # Started by an earlier version, whose runners the firewall would not let out.
        or not place.ports.exists()
        or await asyncio.to_thread(firewall.failure) is not None
        or await Firewall().holds(identity)
    ):
        return
    try:
        await admit(place, spec)
    except (RetriableError, OSError, ValueError):
        log.exception("bot_firewall_not_restored", bot_id=str(spec.bot_id))
    else:
        log.error("bot_firewall_restored", bot_id=str(spec.bot_id))
        RESTORED.inc()


async def forget(identity: Identity | None, spec: BotSpec) -> None:
    """Removes what the firewall holds of a bot whose processes are gone."""
    if identity is None or await asyncio.to_thread(firewall.failure) is not None:
        return
    try:
        await Firewall().remove(identity)
    except FirewallError as error:
        # It expires by itself.
        log.warning("bot_firewall_not_removed", bot_id=str(spec.bot_id), reason=str(error))


async def announced(place: Place, child: Process, *, within: float) -> RunnerProcess | None:
    """The runner that was just started, once it says that it is there; ``None`` if it died."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while child.returncode is None:
        process = RunnerProcess.of(place.files, place.identity)
        if process is not None:
            return process
        if loop.time() > deadline:
            kill(child)
        await asyncio.sleep(0.02)
    return None


def kill(child: Process) -> None:
    """Kills what was started, bubblewrap and what runs inside it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def signal_of(returncode: int) -> signal.Signals | None:
    """The signal that ended a program, of which bubblewrap tells as a shell does."""
    number = -returncode if returncode < 0 else returncode - 128
    try:
        return signal.Signals(number)
    except ValueError:
        return None


@asynccontextmanager
async def _listening() -> AsyncIterator[Listeners]:
    listeners = Listeners.open()
    try:
        yield listeners
    finally:
        listeners.close()


def _readable(browser: BrowserSpec, command: Sequence[str]) -> tuple[Path, ...]:
    """The browsers' directories, and the program where it is a file of its own."""
    found = program_directories([path for path in (browser.path, browser.lean_path) if path])
    return found if command[2] == "-m" else (*found, Path(command[2]))


def _media_addresses(browser: BrowserSpec) -> tuple[MediaAddresses, ...]:
    if browser.media_addresses:
        return parse_media_addresses(browser.media_addresses)
    return addresses_of_rules(HostRules(browser.host_rules).replacements, browser.args)
