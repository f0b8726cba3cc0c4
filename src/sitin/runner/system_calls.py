"""A seccomp filter for bots' browsers, built by the system's libseccomp. For confinement.

The browser gets sockets of the kinds that the other parts of its confinement see: Unix, TCP and
UDP. Others lead past the firewall (MPTCP, SCTP, the hypervisor's AF_VSOCK). Where Chromium's own
sandbox cannot be had, calls that a browser does not need are refused as well.

libseccomp knows the numbers of each architecture. Its Python packages are either for the
distribution's interpreter only or not maintained (ADR 15), so that it is called directly.
"""

import ctypes
import errno
import os
import socket

_ALLOW = 0x7FFF_0000
_ERRNO = 0x0005_0000
_ACT_BADARCH = 2
_EQUAL, _GREATER, _MASKED_EQUAL = 4, 6, 7
_UNKNOWN_CALL = -1

_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
_LAST_FAMILY = 63
"""Above it and with junk in the upper half of the register, everything is refused."""
_PROTOCOLS = (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)
_TYPE_MASK = 0xF
_OTHER_TYPES = (socket.SOCK_RAW, socket.SOCK_RDM, 6, 10)
"""Raw, reliably delivered, DCCP and packet sockets."""
_NETLINK_ROUTE = 0

_NEEDED_BY_NO_BROWSER = (
    "acct",
    "add_key",
    "bpf",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "reboot",
    "request_key",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
    "vhangup",
)
"""System calls with a history of faults in the kernel that Chromium does not use outside its own
sandbox; most are among those that Docker refuses by default."""


class SystemCallFilterError(Exception):
    """The filter cannot be had here; says why."""


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def _equal(argument: int, value: int) -> _Compare:
    return _Compare(argument, _EQUAL, value, 0)


def _greater(argument: int, value: int) -> _Compare:
    return _Compare(argument, _GREATER, value, 0)


def available() -> str | None:
    """Returns why there is no filter on this machine; ``None`` when there is one."""
    try:
        _library()
    except SystemCallFilterError as error:
        return str(error)
    return None


def restrict(*, strictly: bool) -> None:
    """Filters the system calls of this process and of what it starts.

    ``strictly`` also refuses what no browser needs, the namespaces of Chromium's own sandbox among
    it. Raises ``SystemCallFilterError``. The process has to have ``no_new_privs``.
    """
    library = _library()
    context = library.seccomp_init(_ALLOW)
    if not context:
        raise SystemCallFilterError("libseccomp does not give a filter")
    rules = _Rules(library, context)
    try:
        # Calls of another architecture (32 bits) would have other numbers and other arguments.
        rules.attribute(_ACT_BADARCH, _ERRNO | errno.ENOSYS)
        rules.refuse("io_uring_setup", error=errno.ENOSYS)
        _refuse_sockets(rules)
        if strictly:
            for name in _NEEDED_BY_NO_BROWSER:
                rules.refuse(name)
        rules.load()
    finally:
        library.seccomp_release(context)


def _refuse_sockets(rules: "_Rules") -> None:
    unsupported = errno.EAFNOSUPPORT
    for family in set(range(_LAST_FAMILY + 1)) - set(_FAMILIES):
        rules.refuse("socket", _equal(0, family), error=unsupported)
    rules.refuse("socket", _greater(0, _LAST_FAMILY), error=unsupported)
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in _OTHER_TYPES:
            of_kind = _Compare(1, _MASKED_EQUAL, _TYPE_MASK, kind)
            rules.refuse("socket", _equal(0, family), of_kind)
        last = max(_PROTOCOLS)
        for protocol in set(range(last + 1)) - set(_PROTOCOLS):
            rules.refuse("socket", _equal(0, family), _equal(2, protocol))
        rules.refuse("socket", _equal(0, family), _greater(2, last))
    rules.refuse("socket", _equal(0, socket.AF_NETLINK), _greater(2, _NETLINK_ROUTE))


class _Rules:
    """The rules of one filter under construction."""

    def __init__(self, library: ctypes.CDLL, context: int) -> None:
        self._library = library
        self._context = ctypes.c_void_p(context)

    def attribute(self, name: int, value: int) -> None:
        self._check(self._library.seccomp_attr_set(self._context, name, ctypes.c_uint32(value)))

    def refuse(self, call: str, *compares: _Compare, error: int = errno.EPERM) -> None:
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number == _UNKNOWN_CALL:
            # Newer than this libseccomp, or not of this architecture.
            return
        array = (_Compare * len(compares))(*compares)
        action = ctypes.c_uint32(_ERRNO | error)
        self._check(
            self._library.seccomp_rule_add_array(
                self._context, action, number, len(compares), array
            )
        )

    def load(self) -> None:
        self._check(self._library.seccomp_load(self._context))

    def _check(self, result: int) -> None:
        if result < 0:
            raise SystemCallFilterError(f"libseccomp: {os.strerror(-result)}")


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError:
        raise SystemCallFilterError("libseccomp is not installed") from None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    return library
