"""Landlock: what this process and its children may open, connect to and signal. For confinement.

Three system calls and two structures of ``linux/landlock.h``. There is no maintained Python package
that knows TCP and scopes; ADR 15 lists those that were looked at. Needs no privilege but
``no_new_privs``, and cannot be undone.
"""

import ctypes
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# The numbers are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FIRST_ACCESS = (1 << 13) - 1
"""Every access to files that the first version knows: to read, write, make and remove."""
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_ABSTRACT_UNIX_SOCKET, _SIGNAL = 1 << 0, 1 << 1

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""What there is to do with a file that is no directory."""
FIRST_VERSION_WITH_TCP = 4  # Linux 6.7
FIRST_VERSION_WITH_SCOPES = 6  # Linux 6.12


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _NetPort(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """Returns the kernel's version of Landlock; 0 where it has none or does not use it."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def restrict(
    *, readable: Sequence[Path], writable: Sequence[Path], connect_ports: Sequence[int]
) -> int:
    """Restricts this thread and what it starts, as far as the kernel knows how.

    Files: read and execute below ``readable``, everything below ``writable``; those that are not
    there are left out. TCP: connect to ``connect_ports``, bind to none (version 4). Abstract Unix
    sockets and signals: those of processes that are restricted with this one (version 6). Returns
    the kernel's version of Landlock, 0 where nothing was restricted. Raises ``OSError``. The
    process has to have ``no_new_privs``.
    """
    abi = version()
    if abi == 0:
        return 0
    access = _FIRST_ACCESS
    access |= _REFER if abi >= 2 else 0
    access |= _TRUNCATE if abi >= 3 else 0
    access |= _IOCTL_DEV if abi >= 5 else 0
    ruleset = _Ruleset(handled_access_fs=access)
    if abi >= FIRST_VERSION_WITH_TCP:
        ruleset.handled_access_net = _BIND_TCP | _CONNECT_TCP
    if abi >= FIRST_VERSION_WITH_SCOPES:
        ruleset.scoped = _ABSTRACT_UNIX_SOCKET | _SIGNAL
    descriptor = _call(
        _CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(ctypes.sizeof(ruleset)), 0
    )
    try:
        for path in readable:
            _allow(descriptor, path, access & _READ)
        for path in writable:
            _allow(descriptor, path, access)
        if abi >= FIRST_VERSION_WITH_TCP:
            for port in connect_ports:
                rule = _NetPort(_CONNECT_TCP, port)
                _call(_ADD_RULE, descriptor, _NET_PORT, ctypes.byref(rule), 0)
        _call(_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)
    return abi


def _allow(descriptor: int, path: Path, access: int) -> None:
    with suppress(FileNotFoundError, PermissionError):
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(parent).st_mode):
                access &= _OF_FILES
            rule = _PathBeneath(access, parent)
            _call(_ADD_RULE, descriptor, _PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(parent)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result
