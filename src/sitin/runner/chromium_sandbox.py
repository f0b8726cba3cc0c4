"""Whether Chromium's own sandbox can be had. For the runner and the doctor.

Chromium puts its renderers into namespaces of their own, without files, network and other
processes. It makes them as an ordinary user, inside a user namespace; where the kernel does not
give that to the bot's user, it refuses to start unless it is told to do without.
"""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

_NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = 0x1000_0000, 0x2000_0000, 0x4000_0000
_PR_SET_DUMPABLE = 4
_LIMIT = Path("/proc/sys/user/max_user_namespaces")
_SWITCHES = (
    ("kernel.unprivileged_userns_clone", "0"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1"),
)
"""Settings of distributions by which the kernel keeps user namespaces for root, and the value."""


def unusable_because() -> str | None:
    """Returns why Chromium's sandbox cannot be had by this process; ``None`` when it can.

    Tries in a child what Chromium does. To be called before there are threads.
    """
    if os.geteuid() == 0:
        return "Chromium does not sandbox what runs as root"
    uid, gid = os.geteuid(), os.getegid()
    child = os.fork()
    if child == 0:
        os._exit(_errno_of_namespaces(uid, gid))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return None if code == 0 else f"{_obstacle()} ({os.strerror(abs(code))})"


def _errno_of_namespaces(uid: int, gid: int) -> int:
    """What a child runs; 0 when all of it works."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        # A process that has changed its user may not write to its own files in /proc.
        libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        _unshare(libc, _NEW_USER)
        own = Path("/proc/self")
        (own / "setgroups").write_text("deny")
        (own / "uid_map").write_text(f"{uid} {uid} 1")
        (own / "gid_map").write_text(f"{gid} {gid} 1")
        # Where AppArmor restricts user namespaces they can be made, and give no privilege inside.
        _unshare(libc, _NEW_PROCESSES | _NEW_NETWORK)
    except OSError as error:
        return error.errno or 1
    return 0


def _unshare(libc: ctypes.CDLL, flags: int) -> None:
    if libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _obstacle() -> str:
    with suppress(OSError):
        if _LIMIT.read_text().strip() == "0":
            return "user.max_user_namespaces is 0"
    for name, value in _SWITCHES:
        with suppress(OSError):
            if Path("/proc/sys", *name.split(".")).read_text().strip() == value:
                return f"{name} is {value}"
    return "the kernel or the container refuses user namespaces"
