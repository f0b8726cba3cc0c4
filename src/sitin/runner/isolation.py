"""A user and a file tree of its own for every bot. For the supervisor and the doctor.

When the worker is root, a bot's processes run under a numeric user id that owns nothing but the
recording directory. The ids are those that systemd sets aside for services without an account
(61184 to 65519), so no account has them.

Where the kernel allows it, to root and to others, bubblewrap gives the bot's processes a file tree
of their own. It holds the system's programs and libraries, the code and the bot's own directory,
all but the last read-only. Other bots, keys, databases and the Unix sockets of other services are
not in it. Nothing changes outside, and no permission is widened.
"""

import functools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import sitin
from sitin.kit.errors import OperatorError

FIRST_UID, LAST_UID = 61_184, 65_519
RUNNERS_GID = 61_183
"""Effective group of runners. The firewall exempts it; a program that a runner starts loses it.
Ids from 60578 to 61183 belong to nobody on a system with systemd."""

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt", "nix", "sys")
_PROBE_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """User and group id of one bot's processes."""

    uid: int


def identity_for(bot_id: UUID, taken: frozenset[int] = frozenset()) -> Identity | None:
    """Returns a user for this bot that is not in ``taken``; ``None`` when the worker is not root.

    Raises ``OperatorError`` when every id is taken.
    """
    if os.geteuid() != 0:
        return None
    number = LAST_UID - FIRST_UID + 1
    for step in range(number):
        uid = FIRST_UID + (bot_id.int + step) % number
        if uid not in taken:
            return Identity(uid)
    raise OperatorError("Every user id for bots is taken on this machine.")


def uids_in_use() -> frozenset[int]:
    """Returns the ids of the range under which a process runs now, of this install or not."""
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                status = Path(entry.path, "status").read_text()
            except OSError:
                continue
            uid = int(status.split("\nUid:", 1)[1].split(None, 1)[0])
            if FIRST_UID <= uid <= LAST_UID and "\nState:\tZ" not in status:
                found.add(uid)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class FileTree:
    """The parts of the file tree that a bot has beside the system's programs and the code."""

    own: Path | None = None
    """The bot's place: read-only, but for ``files`` in it."""
    readable: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """Set for the bot's processes and not for bubblewrap's own, which waits for their end."""


def confined(
    command: Sequence[str], identity: Identity | None, tree: FileTree | None = None
) -> list[str]:
    """Returns the command line that runs a program as a bot's browser runs.

    That is: as the bot's user, under the bot's group and in a file tree of its own.
    """
    inner = list(command)
    if identity is not None:
        inner = [*_START, str(identity.uid), "--", *inner]
    return [*_private_tree(tree or FileTree()), *inner]


def confined_runner(
    arguments: Sequence[str], identity: Identity | None, tree: FileTree
) -> list[str]:
    """Returns the command line that runs a Python program, given by its arguments, as a runner.

    It differs from ``confined`` in the effective group, ``RUNNERS_GID``. ``arguments`` are those
    of the interpreter after ``-I``: ``-m MODULE …`` or ``FILE …``.
    """
    start = [sys.executable, "-I"] if identity is None else [*_START, str(identity.uid)]
    return [*_private_tree(tree), *start, *arguments]


_START = (sys.executable, "-I", "-m", "sitin.runner.start")


def check() -> None:
    """Raises ``OperatorError`` when bots cannot run on this machine as they should."""
    if os.geteuid() != 0:
        return
    if shutil.which("setpriv") is None:
        raise OperatorError(
            "The program setpriv of util-linux is missing; install it, or run sitin as another "
            "user than root."
        )
    closed = _closed_to_others(_code())
    reason = private_tree_failure()
    if closed is not None and reason is not None:
        raise OperatorError(
            f"Bots' users may not enter {closed}, where the code lies, and cannot get a file tree "
            f"of their own ({reason}): install sitin where every user may read it, mend that, or "
            "run it as another user than root."
        )


@functools.cache
def private_tree_failure() -> str | None:
    """Returns why bots get no file tree of their own on this machine; ``None`` when they do."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    # As root all the way to a bot's user: root without its capabilities, as in some containers,
    # gets a file tree in a user namespace that has no other users.
    inner = [*_START, str(LAST_UID), "--", "true"] if os.geteuid() == 0 else ["true"]
    try:
        result = subprocess.run(  # noqa: S603 - a fixed command
            [*_bubblewrap(FileTree()), *inner],
            check=False,
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return "bubblewrap does not answer"
    if result.returncode == 0:
        return None
    lines = result.stderr.strip().splitlines()
    return lines[-1] if lines else f"bubblewrap ends with {result.returncode}"


def program_directories(paths: Sequence[str]) -> tuple[Path, ...]:
    """Returns where these programs are, as they are named and with links resolved."""
    named = [Path(path).parent for path in paths]
    resolved = [Path(path).resolve().parent for path in paths]
    return tuple(path for path in dict.fromkeys((*named, *resolved)) if path.exists())


def code_directories() -> list[Path]:
    """Returns where the interpreter, its packages and this package are, as they are named."""
    return list(dict.fromkeys(_code()))


def _code() -> list[Path]:
    return [Path(sys.base_prefix), Path(sys.prefix), Path(sitin.__file__).parent.parent]


def _closed_to_others(places: Sequence[Path]) -> Path | None:
    """The uppermost directory that stops others on the way to one of the places."""
    for place in places:
        resolved = place.resolve()
        for above in reversed([resolved, *resolved.parents]):
            if not above.stat().st_mode & stat.S_IXOTH:
                return above
    return None


def _private_tree(tree: FileTree) -> list[str]:
    """bubblewrap and its options, or nothing where it does not work."""
    if private_tree_failure() is None:
        return _bubblewrap(tree)
    if tree.environment:
        return ["env", *(f"{name}={value}" for name, value in tree.environment)]
    return []


def _bubblewrap(tree: FileTree) -> list[str]:
    options = ["bwrap"]
    if os.geteuid() == 0:
        options += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    for name in _SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    # Written to by Chromium's sandbox (uid_map). Without process ids of their own: a runner is
    # known to its supervisor by the machine's.
    options += ["--bind", "/proc", "/proc", "--dev", "/dev"]
    for path in (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp")):  # noqa: S108
        options += [*_parents(path), "--perms", "1777", "--tmpfs", str(path)]
    options += ["--perms", "0755", "--tmpfs", "/run", "--symlink", "../run", "/var/run"]
    for path in (Path("/etc/resolv.conf").resolve(), Path("/var/cache/fontconfig")):
        options += [*_parents(path), "--ro-bind-try", str(path), str(path)]
    for path in [*code_directories(), *tree.readable]:
        for place in dict.fromkeys((path, path.resolve())):
            options += [*_parents(place), "--ro-bind", str(path.resolve()), str(place)]
    if tree.own is not None:
        files = str(tree.own / "files")
        options += [*_parents(tree.own), "--ro-bind", str(tree.own), str(tree.own)]
        options += ["--bind", files, files]
    for variable, content in tree.environment:
        options += ["--setenv", variable, content]
    return [*options, "--chdir", "/", "--"]


def _parents(path: Path) -> Iterator[str]:
    """Options that make the directories above a path, which every user may enter."""
    for above in reversed(path.parents):
        if len(above.parts) > 1 and above.parts[1] not in _SYSTEM:
            yield from ("--perms", "0755", "--dir", str(above))
