"""The browser's only way out: a loopback proxy that tunnels to public addresses. For the runner.

Everything that Chromium sends by TCP goes through it, names are resolved here, and an address
inside the private network or of this machine is refused unless a host rule of the operator's leads
to it. Media goes by UDP beside it; where that may go is the kernel's to hold (``firewall.py``).
"""

import asyncio
import fnmatch
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import structlog

from sitin.kit.addresses import address_is_public
from sitin.runner.listeners import LOOPBACK

log = structlog.get_logger()

_CHUNK = 64 * 1024
_HEAD_LIMIT = 16 * 1024
_DISCARD_PORT = 9


class HostRuleError(ValueError):
    """A host rule that does not parse; says which."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection goes. ``by_rule`` tells that the operator has named it."""

    host: str
    port: int
    by_rule: bool


class HostRules:
    """Chromium's host resolver rules: ``MAP pattern host[:port]``, ``EXCLUDE pattern``, by comma.

    A pattern may hold ``*``; a replacement ``~NOTFOUND`` refuses the host.
    """

    def __init__(self, text: str) -> None:
        self._maps: list[tuple[str, str]] = []
        self._excluded: list[str] = []
        for rule in filter(None, (part.strip() for part in text.split(","))):
            match rule.split():
                case [verb, pattern, replacement] if verb.upper() == "MAP":
                    self._maps.append((pattern.lower(), replacement))
                case [verb, pattern] if verb.upper() == "EXCLUDE":
                    self._excluded.append(pattern.lower())
                case _:
                    raise HostRuleError(
                        f"the host rule {rule!r} is neither MAP pattern host[:port] nor "
                        "EXCLUDE pattern"
                    )

    def target(self, host: str, port: int) -> Target | None:
        """Where a connection to ``host`` goes; ``None`` where the rules refuse it."""
        name = host.lower().rstrip(".")
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in self._excluded):
            for pattern, replacement in self._maps:
                if fnmatch.fnmatchcase(name, pattern):
                    return _replaced(replacement, port)
        return Target(host, port, by_rule=False)

    @property
    def replacements(self) -> list[str]:
        """The hosts that rules lead to, without their ports."""
        found = (_replaced(replacement, 0) for _, replacement in self._maps)
        return list(dict.fromkeys(target.host for target in found if target is not None))


def _replaced(replacement: str, port: int) -> Target | None:
    if replacement.upper() == "~NOTFOUND":
        return None
    host, colon, digits = replacement.rpartition(":")
    if colon and digits.isdigit() and not host.endswith(":"):
        return Target(host.strip("[]"), int(digits), by_rule=True)
    return Target(replacement.strip("[]"), port, by_rule=True)


class FilteringProxy:
    """Answers ``CONNECT`` and nothing else: pages of meetings come over TLS."""

    def __init__(self, rules: HostRules, *, allow_private: bool) -> None:
        self._rules = rules
        self._allow_private = allow_private
        self._server: asyncio.Server | None = None
        self._tunnels: set[asyncio.Task[None]] = set()

    async def open(self, listener: socket.socket | None = None) -> int:
        """Listen on this socket, or on a free loopback port; gives the port."""
        listener = listener or socket.create_server((LOOPBACK, 0))
        self._server = await asyncio.start_server(self._serve, sock=listener, limit=_HEAD_LIMIT)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Close every tunnel and stop listening."""
        if self._server is not None:
            self._server.close()
        for tunnel in self._tunnels:
            tunnel.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tunnels.add(task)
        try:
            await self._tunnel(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.debug("tunnel broke")
        finally:
            self._tunnels.discard(task)
            writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        target = self._target(head.split(b"\r\n", 1)[0])
        if target is None:
            await _answer(writer, HTTPStatus.FORBIDDEN)
            return
        try:
            addresses = await self._resolve(target)
        except (OSError, UnicodeError):  # the second of a name that no server could have
            await _answer(writer, HTTPStatus.BAD_GATEWAY)
            return
        if not addresses:
            log.warning("browser asked for a private address", host=target.host)
            await _answer(writer, HTTPStatus.FORBIDDEN)
            return
        try:
            far_reader, far_writer = await _connect(addresses, target.port)
        except OSError:
            await _answer(writer, HTTPStatus.BAD_GATEWAY)
            return
        await _answer(writer, HTTPStatus.OK)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, far_writer))
                both.create_task(_copy(far_reader, writer))
        except* OSError:
            log.debug("tunnel broke", host=target.host)
        finally:
            far_writer.close()

    def _target(self, request: bytes) -> Target | None:
        match request.decode("latin-1").split():
            case ["CONNECT", authority, _]:
                host, _, port = authority.rpartition(":")
                if host and port.isdigit():
                    return self._rules.target(host.strip("[]"), int(port))
        return None

    async def _resolve(self, target: Target) -> list[str]:
        """The addresses that may be connected to."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if self._allow_private or target.by_rule:
            return addresses
        return [one for one in addresses if address_is_public(one) and not _is_own(one)]


def _is_own(address: str) -> bool:
    """Whether an address is this machine's: what listens there may be meant for nobody outside."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):
        # Sends nothing; the kernel picks the address that it would send from.
        probe.connect((address, _DISCARD_PORT))
        return bool(probe.getsockname()[0] == address)
    return False


async def _connect(
    addresses: Sequence[str], port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    error: OSError | None = None
    for address in addresses:
        try:
            return await asyncio.open_connection(address, port)
        except OSError as refused:
            error = refused
    assert error is not None
    raise error


async def _answer(writer: asyncio.StreamWriter, status: HTTPStatus) -> None:
    writer.write(f"HTTP/1.1 {status.value} {status.phrase}\r\n\r\n".encode())
    await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
