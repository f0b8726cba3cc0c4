"""The one client for addresses that customers give. Used by notifications, bots and calendars.

It goes to public addresses only, unless the operator allows others. The address is checked when the
connection is made, and the connection goes to the very address that was checked: a name that
changes its mind in between gains nothing. Redirects are answers like others and are not followed,
or followed through the same check.
"""

import asyncio
import io
import re
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Self

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from sitin.kit.addresses import Resolver, address_is_public, resolve
from sitin.kit.tls import trusted

LONGEST_URL = 2048  # characters
_MOST_CONNECTIONS = 1000
# Each idle connection is an open file, and there may be many hosts; whoever is asked again within
# this time is asked often.
_IDLE_SECONDS = 5.0
_HEADERS = {"user-agent": "sitin", "accept-encoding": "identity"}
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")  # a name in ASCII, or an IPv6 address
_REDIRECTS = (301, 302, 303, 307, 308)
_LOCAL = re.compile(r"(.*\.)?localhost\.?", re.IGNORECASE)  # whoever resolves it (RFC 6761)


class OutgoingError(Exception):
    """A request got no answer.

    Attributes:
        message: One sentence, fit for the customer who gave the address.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UrlRefusedError(OutgoingError):
    """The address is one that is not asked: malformed, or not public."""


class NoAnswerError(OutgoingError):
    """The connection failed or broke."""


class NoAnswerInTimeError(OutgoingError):
    """There was no complete answer in time."""


class AnswerTooLargeError(OutgoingError):
    """The answer is larger than it may be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        body: Its bytes as sent, or the first of them.
        truncated: Whether there was more.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool


class OutgoingClient:
    """Asks addresses that customers give.

    Args:
        allow_private: Whether other than public addresses are asked too.
        resolver: Turns names into addresses.
    """

    def __init__(self, *, allow_private: bool = False, resolver: Resolver = resolve) -> None:
        self._allow_private = allow_private
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_PublicNames(allow_private=allow_private, resolver=resolver),
                socket_factory=_any_socket if allow_private else _public_socket,
                use_dns_cache=False,
                limit=_MOST_CONNECTIONS,
                keepalive_timeout=_IDLE_SECONDS,
                ssl=trusted(),
            ),
            headers=_HEADERS,
            skip_auto_headers=("accept",),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # Proxies and credentials of the environment are not for customers' addresses.
            trust_env=False,
            # Each request has one time for all of it.
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[_tracing()],
        )

    def check_url(self, url: str, *, schemes: Iterable[str] = ("http", "https")) -> None:
        """Tell early what the text of an address tells; raises ``UrlRefusedError`` with a sentence.

        No name is resolved: what it means is looked at when it is asked, and nobody waits for it
        before.
        """
        self._check_host(parse_url(url, schemes=schemes))

    def _check_host(self, url: httpx.URL) -> None:
        """Raise ``UrlRefusedError`` for an address that says itself that it is not public."""
        if self._allow_private:
            return
        number = _numeric(url.host)
        if _LOCAL.fullmatch(url.host) or (number is not None and not address_is_public(number)):
            raise _not_public(url.host)

    async def request(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        keep: int,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Send a request and keep the first ``keep`` bytes of the answer; read no more than that.

        The other side may see the request twice, when it closes an idle connection just then.

        Args:
            method: The HTTP method.
            url: Checked again here, whenever it was checked before.
            seconds: For all of it, from the name's resolution to the last byte.
            keep: Bytes.
            headers: Further headers.
            content: The body.

        Raises:
            OutgoingError: One of its kinds; a status of whatever number is an answer.
        """
        async with self._answer(method, url, seconds, headers, content) as response:
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > keep:
                    break
            return Answer(response.status, response.headers, bytes(body[:keep]), len(body) > keep)

    async def download(
        self, url: str, *, seconds: float, largest: int, redirects: int = 3
    ) -> Answer:
        """Get a file into memory, whole or not at all.

        Raises:
            AnswerTooLargeError: It has more than ``largest`` bytes.
            OutgoingError: Another kind; a status other than 200 is an answer with its body cut.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        for _ in range(redirects + 1):
            answer = await self.request(
                "GET",
                url,
                seconds=max(deadline - clock(), 0),
                keep=largest,
            )
            target = answer.headers.get("location")
            if answer.status not in _REDIRECTS or target is None:
                break
            url = str(parse_url(url).join(target))
        else:
            raise NoAnswerError(f"The address redirects more than {redirects} times.")
        if answer.truncated:
            raise AnswerTooLargeError(f"The answer is larger than {largest} bytes.")
        return answer

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        url: str,
        seconds: float,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        parsed = parse_url(url)
        self._check_host(parsed)
        try:
            async with (
                asyncio.timeout(seconds),
                await self._send(method, str(parsed), headers, content) as response,
            ):
                yield response
        except TimeoutError:
            raise NoAnswerInTimeError(f"There was no answer within {seconds:.3g} s.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswerError(f"The connection failed ({_reason(error)}).") from error

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None, content: bytes | None
    ) -> aiohttp.ClientResponse:
        while True:
            trip = _Trip()
            try:
                return await self._session.request(
                    method,
                    yarl.URL(url, encoded=True),
                    headers=headers,
                    data=None if content is None else io.BytesIO(content),
                    allow_redirects=False,
                    trace_request_ctx=trip,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # An idle connection may be closed by the other side at the very moment that it is
                # used again. Requests through this client may be made twice.
                if not trip.reused:
                    raise


@dataclass
class _Trip:
    """How one request went."""

    reused: bool = False
    """Whether it was made on a connection that had served another."""


def _tracing() -> aiohttp.TraceConfig:
    async def note(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.reused = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(note)
    return config


def parse_url(url: str, *, schemes: Iterable[str] = ("http", "https")) -> httpx.URL:
    """Read an address by the client's own rules; raises ``UrlRefusedError`` with a sentence."""
    if len(url) > LONGEST_URL:
        raise UrlRefusedError(f"The address is longer than {LONGEST_URL} characters.")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise UrlRefusedError("The address is no valid URL.") from None
    if parsed.scheme not in schemes:
        raise UrlRefusedError(f"The address has to begin with {' or '.join(_begin(schemes))}.")
    if not parsed.host:
        raise UrlRefusedError("The address names no host.")
    port = 80 if parsed.port is None else parsed.port
    if not _HOST.fullmatch(parsed.raw_host.decode()) or not 0 < port < 2**16:
        raise UrlRefusedError("The address is no valid URL.")
    if parsed.userinfo:
        raise UrlRefusedError("The address must not hold a user name or password.")
    return parsed


class _PublicNames(AbstractResolver):
    """Turns names into addresses that may be asked."""

    def __init__(self, *, allow_private: bool, resolver: Resolver) -> None:
        self._allow_private = allow_private
        self._resolver = resolver

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the library's signature
    ) -> list[ResolveResult]:
        """The addresses to connect to; the connection goes to one of these very numbers."""
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError):
            raise OSError(f"the name {host} is not known") from None
        if not self._allow_private:
            addresses = [address for address in addresses if address_is_public(address)]
        if not addresses:
            raise _not_public(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


def _any_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = info
    return socket.socket(family, kind, protocol)


def _public_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """The last door: whatever way an address has come here, it is looked at once more."""
    address = str(info[4][0])
    if not address_is_public(address):
        raise OSError(f"{address} is not on the public internet")
    return _any_socket(info)


def _numeric(host: str) -> str | None:
    """The address that a host is another way of writing, such as 127.1; ``None`` for a name."""
    if ":" in host:
        return host
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _reason(error: Exception) -> str:
    # The library's own sentence repeats the address and tells how it was called.
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    return str(error) or type(error).__name__


def _not_public(host: str) -> UrlRefusedError:
    return UrlRefusedError(
        f"The address leads to {host}, which is not on the public internet; this service asks "
        "public addresses only."
    )


def _begin(schemes: Iterable[str]) -> list[str]:
    return [f"{scheme}://" for scheme in schemes]
