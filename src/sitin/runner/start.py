"""Gives up root and becomes a bot: ``python -I -m sitin.runner.start UID …``. See isolation.py.

``UID -- PROGRAM …`` executes a program under the bot's user and group, as its browser runs.
``UID -m MODULE …`` and ``UID FILE …`` run Python in this process as the bot's runner: with the
effective group of runners, which the firewall lets out. It is not kept by a program that the runner
executes: the driver's start gives it up (``confined_driver``), and so do kernels under
``no_new_privs`` by themselves.

The group is changed in this process, not by ``setpriv`` before it: an interpreter that is executed
with an effective group other than its real one is run in the loader's secure mode, in which the
libraries that wheels bundle are not found.
"""

import ctypes
import os
import runpy
import sys

from sitin.runner.isolation import RUNNERS_GID

_PR_SET_NO_NEW_PRIVS = 38


def become(uid: int, *, effective_gid: int) -> None:
    """Becomes the user, for good. The group of the same number stays among the groups."""
    os.setgroups([uid])
    os.setresgid(uid, effective_gid, effective_gid)
    os.setresuid(uid, uid, uid)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")


def main() -> None:
    """Becomes the bot and runs what is asked for."""
    uid, *arguments = sys.argv[1:]
    if arguments[0] == "--":
        become(int(uid), effective_gid=int(uid))
        os.execvp(arguments[1], arguments[1:])  # noqa: S606 - that is what it is for
    become(int(uid), effective_gid=RUNNERS_GID)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
