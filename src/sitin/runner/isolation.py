"""A user of its own for every bot, when the worker is root. For the supervisor.

A bot's process and its browser run under a numeric user id that owns nothing but the recording
directory: they read no other bot's files, no key and no database. The ids are those that systemd
sets aside for services without an account (61184 to 65519), so nobody else has them.

Where the code lies in a directory that such a user may not enter (a checkout below ``/root``, say),
the bot's process gets a mount namespace of its own, in which that directory is replaced by an empty
one that holds the code alone. Nothing outside it changes, and no permission is widened.
"""

import os
import shlex
import shutil
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import sitin
from sitin.kit.errors import OperatorError

FIRST_UID, LAST_UID = 61_184, 65_519


@dataclass(frozen=True, slots=True)
class Identity:
    """User and group id of one bot's processes."""

    uid: int


def identity_for(bot_id: UUID) -> Identity | None:
    """The user of this bot; ``None`` when the worker is not root and shares its own."""
    if os.geteuid() != 0:
        return None
    return Identity(FIRST_UID + bot_id.int % (LAST_UID - FIRST_UID + 1))


def confined(command: Sequence[str], identity: Identity) -> list[str]:
    """The command, run as that user, with the code within reach."""
    run = [
        "setpriv",
        f"--reuid={identity.uid}",
        f"--regid={identity.uid}",
        "--clear-groups",
        "--no-new-privs",
        "--",
        *command,
    ]
    hidden = _hidden_roots(_code())
    if not hidden:
        return run
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-ec",
        _mounts(hidden),
        "sh",
        *run,
    ]


def check() -> None:
    """Raise ``OperatorError`` when bots cannot be confined on this machine."""
    if os.geteuid() != 0:
        return
    needed = ["setpriv"] + (["unshare", "mount"] if _hidden_roots(_code()) else [])
    for program in needed:
        if shutil.which(program) is None:
            raise OperatorError(
                f"The program {program} of util-linux is missing; install it, or run sitin as "
                "another user than root."
            )


def _code() -> list[Path]:
    """Where the interpreter, its packages and this package are."""
    places = [Path(sys.base_prefix), Path(sys.prefix), Path(sitin.__file__).parent.parent]
    return list(dict.fromkeys(place.resolve() for place in places))


def _hidden_roots(places: Sequence[Path]) -> dict[Path, list[Path]]:
    """The places that others may not reach, by the uppermost directory that stops them."""
    hidden: dict[Path, list[Path]] = {}
    for place in places:
        for above in reversed([place, *place.parents]):
            if not above.stat().st_mode & stat.S_IXOTH:
                hidden.setdefault(above, []).append(place)
                break
    return hidden


def _mounts(hidden: dict[Path, list[Path]]) -> str:
    """Shell commands that replace each root by an empty directory with the places in it."""
    lines = ["stage=$(mktemp -d /tmp/sitin-code.XXXXXX)", "mount -t tmpfs tmpfs $stage"]
    number = 0
    for root, places in hidden.items():
        staged = []
        for place in places:
            number += 1
            lines += [
                f"mkdir $stage/{number}",
                f"mount --bind {shlex.quote(str(place))} $stage/{number}",
            ]
            staged.append((number, shlex.quote(str(place))))
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(root))}")
        for index, place_name in staged:
            lines += [
                f"mkdir -p {place_name}",
                f"mount --bind $stage/{index} {place_name}",
                f"mount -o remount,bind,ro {place_name}",
                f"umount $stage/{index}",
            ]
    lines += ["umount $stage", "rmdir $stage", 'exec "$@"']
    return "\n".join(lines)
