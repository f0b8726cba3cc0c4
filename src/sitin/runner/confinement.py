"""Confines a bot's browser and the driver that starts it: ``python -m sitin.runner.confinement``.

The runner has Playwright start this in place of the driver's Node.js. It applies to itself what
needs no privilege, as far as the kernel has it, and becomes Node.js: the group without a way out
(``confined_driver``, for bots of root), Landlock for files, TCP and abstract sockets, and a filter
of system calls. Everything that Node.js starts inherits it, and nothing can take it off.

Imports little: every bot waits for it.
"""

import ctypes
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sitin.runner import landlock, system_calls

_PREFIX = "SITIN_CONFINED_"
_PYTHON, _GID, _CONFINEMENT = f"{_PREFIX}PYTHON", f"{_PREFIX}GID", f"{_PREFIX}BY"
_PLAYWRIGHT_NODE = "PLAYWRIGHT_NODEJS_PATH"
"""Playwright's own variable for the Node.js of its driver."""
_STARTER = Path(__file__).with_name("confined_driver")
_PR_SET_NO_NEW_PRIVS = 38
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt", "nix", "sys")
_SYSTEM_FILES = (*(Path("/", name) for name in _SYSTEM), Path("/var/cache/fontconfig"))
_ALWAYS_WRITABLE = (Path("/proc"), Path("/dev"))
"""Chromium writes to its own files in both."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What one bot's browser may do."""

    readable: tuple[str, ...]
    """Directories beside the system's that it may read and execute from."""
    home: str
    """Its own directory, with its profiles."""
    temporary: str
    """Its directory for temporary files."""
    ports: tuple[int, ...]
    """TCP ports that it may connect to: the runner's, which listen on loopback."""
    sandboxed: bool
    """Whether Chromium's own sandbox is on; without it, more system calls are refused."""
    node: str
    """The driver's Node.js."""


@contextmanager
def starting_confined(confinement: Confinement) -> Iterator[None]:
    """Within it, the driver that Playwright starts is confined."""
    gid = os.getgid() if os.getgid() != os.getegid() else ""
    added = {
        _PLAYWRIGHT_NODE: str(_STARTER),
        _PYTHON: sys.executable,
        _GID: str(gid),
        _CONFINEMENT: json.dumps(asdict(confinement)),
    }
    os.environ |= added
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def confine(confinement: Confinement) -> None:
    """Restricts this process for good. Where the kernel lacks a part, the others hold.

    Raises ``OSError`` when a part that the kernel has cannot be applied.
    """
    if os.getgid() != os.getegid():
        raise PermissionError("The group that the firewall lets out was not given up.")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
    landlock.restrict(
        readable=[*_SYSTEM_FILES, *map(Path, confinement.readable)],
        writable=[*_ALWAYS_WRITABLE, Path(confinement.home), Path(confinement.temporary)],
        connect_ports=confinement.ports,
    )
    if system_calls.available() is None:
        system_calls.restrict(strictly=not confinement.sandboxed)


def _execute(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    fields = json.loads(environment[_CONFINEMENT])
    confinement = Confinement(**fields)
    confine(confinement)
    rest = {name: value for name, value in environment.items() if not name.startswith(_PREFIX)}
    rest.pop(_PLAYWRIGHT_NODE, None)
    rest |= {"HOME": confinement.home, "TMPDIR": confinement.temporary}
    os.execve(confinement.node, [confinement.node, *arguments], rest)  # noqa: S606


if __name__ == "__main__":
    _execute(sys.argv[1:], os.environ)
