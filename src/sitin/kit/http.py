"""The one client for addresses that customers give. Used by notifications, bots and calendars.

It goes to public addresses only, unless the operator allows others. The address is checked when the
connection is made, and the connection goes to the very address that was checked: a name that
changes its mind in between gains nothing. Redirects are answers like others and are not followed,
or followed through the same check.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpcore
import httpx

from sitin.kit.addresses import Resolver, address_is_public, resolve

LONGEST_URL = 2048  # characters
_RESOLVE_SECONDS = 5.0
_MOST_CONNECTIONS = 1000
_MOST_IDLE = 50
_IDLE_SECONDS = 30.0
_ONE_OF_SEVERAL_SECONDS = 5.0
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")  # a name in ASCII, or an IPv6 address
_REDIRECTS = (301, 302, 303, 307, 308)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


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
        self._resolver = resolver
        self._client = httpx.AsyncClient(
            transport=_Transport(_Network(allow_private=allow_private, resolver=resolver)),
            # Proxies and credentials of the environment are not for customers' addresses.
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113 - each request has one time for all of it
        )

    async def check_url(self, url: str, *, schemes: Iterable[str] = ("http", "https")) -> None:
        """Tell early whether an address will be asked; raises ``UrlRefusedError`` with a sentence.

        A name that cannot be resolved now passes, because it may be later; it is checked again.
        """
        parsed = parse_url(url, schemes=schemes)
        if self._allow_private:
            return
        port = parsed.port or _DEFAULT_PORTS[parsed.scheme]
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                addresses = await self._resolver(parsed.host, port)
        except (OSError, UnicodeError):
            return
        if not any(address_is_public(address) for address in addresses):
            raise _not_public(parsed.host)

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
            async for part in response.aiter_raw():
                body += part
                if len(body) > keep:
                    break
            return Answer(
                response.status_code, response.headers, bytes(body[:keep]), len(body) > keep
            )

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
                headers={"accept-encoding": "identity"},
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
        await self._client.aclose()

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
    ) -> AsyncIterator[httpx.Response]:
        parsed = parse_url(url)
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, parsed, headers=headers, content=content) as response,
            ):
                yield response
        except (TimeoutError, httpx.TimeoutException):
            raise NoAnswerInTimeError(f"There was no answer within {seconds:.3g} s.") from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise NoAnswerError(f"The connection failed ({reason}).") from error


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


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, and to nothing else."""

    def __init__(self, *, allow_private: bool, resolver: Resolver) -> None:
        self._allow_private = allow_private
        self._resolver = resolver
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, and connect to one of the addresses that passed."""
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError(f"the name {host} is not known") from None
        if not self._allow_private:
            addresses = [address for address in addresses if address_is_public(address)]
        if not addresses:
            raise _not_public(host)
        failure: Exception | None = None
        for address in addresses:
            try:
                return await self._backend.connect_tcp(
                    address,
                    port,
                    timeout=timeout if len(addresses) == 1 else _ONE_OF_SEVERAL_SECONDS,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refused: no customer's address is a socket of this machine."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's transport on our network; httpx itself has no argument for it."""

    def __init__(self, network: _Network) -> None:
        context: ssl.SSLContext = httpx.create_ssl_context()
        super().__init__(verify=context)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=_MOST_IDLE,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=network,
        )


def _not_public(host: str) -> UrlRefusedError:
    return UrlRefusedError(
        f"The address leads to {host}, which is not on the public internet; this service asks "
        "public addresses only."
    )


def _begin(schemes: Iterable[str]) -> list[str]:
    return [f"{scheme}://" for scheme in schemes]
