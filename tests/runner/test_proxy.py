"""The browser's only way out: what it may reach, and what it may not."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.runner.proxy import FilteringProxy, HostRuleError, HostRules, Target

pytestmark = pytest.mark.unit

Addresses = dict[str, list[str]]


class TestHostRules:
    @pytest.mark.parametrize(
        ("rules", "host", "port", "target"),
        [
            ("", "meet.google.com", 443, Target("meet.google.com", 443, by_rule=False)),
            ("MAP a.example 127.0.0.1:9", "a.example", 443, Target("127.0.0.1", 9, by_rule=True)),
            ("MAP a.example 127.0.0.1", "a.example", 443, Target("127.0.0.1", 443, by_rule=True)),
            ("map A.Example 10.0.0.1:9", "a.EXAMPLE.", 1, Target("10.0.0.1", 9, by_rule=True)),
            ("MAP a.example [::1]:9", "a.example", 443, Target("::1", 9, by_rule=True)),
            ("MAP a.example ::1", "a.example", 443, Target("::1", 443, by_rule=True)),
            ("MAP *.example b:9", "x.y.example", 443, Target("b", 9, by_rule=True)),
            ("MAP *.example b:9", "example", 443, Target("example", 443, by_rule=False)),
            ("MAP * b:9,EXCLUDE a.example", "a.example", 4, Target("a.example", 4, by_rule=False)),
            ("MAP a x:1, MAP a y:2", "a", 443, Target("x", 1, by_rule=True)),
            ("MAP * ~NOTFOUND", "a.example", 443, None),
        ],
    )
    def test_a_host_goes_where_the_rules_say(
        self, rules: str, host: str, port: int, target: Target | None
    ) -> None:
        assert HostRules(rules).target(host, port) == target

    @pytest.mark.parametrize("rules", ["MAP", "MAP a", "MAP a b c", "GO a b", "MAP a b,x"])
    def test_a_rule_that_is_none_is_named(self, rules: str) -> None:
        with pytest.raises(HostRuleError, match="neither MAP pattern host"):
            HostRules(rules)


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A server on loopback that gives back what it is sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


Open = Callable[..., "asyncio.Future[int]"]


@pytest.fixture
async def proxy_port(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., object]]:
    """Opens proxies; names are resolved by a table of the test's."""
    proxies: list[FilteringProxy] = []

    async def open_proxy(
        rules: str = "", *, allow_private: bool = False, names: Addresses | None = None
    ) -> int:
        resolve = asyncio.get_running_loop().getaddrinfo

        async def getaddrinfo(host: str, port: int, **options: object) -> object:
            if names is None or host not in names:
                if host.replace(".", "").isdigit() or ":" in host:
                    return await resolve(host, port, **options)  # type: ignore[arg-type]
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return [(socket.AF_INET, 1, 6, "", (one, port)) for one in names[host]]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        proxy = FilteringProxy(HostRules(rules), allow_private=allow_private)
        proxies.append(proxy)
        return await proxy.open()

    yield open_proxy
    for proxy in proxies:
        await proxy.close()


async def ask(port: int, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
    """Connect, ask, and give the status; 0 where there is no answer."""
    reader, writer = await asyncio.open_connection(sock=_connected(port))
    writer.write(request)
    await writer.drain()
    line = await reader.readline()
    if not line:
        return reader, writer, 0
    await reader.readline()
    return reader, writer, int(line.split()[1])


def _connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port))
    made.setblocking(False)
    return made


def connect(target: str) -> bytes:
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


async def status(port: int, request: bytes) -> int:
    reader, writer, code = await ask(port, request)
    writer.close()
    await writer.wait_closed()
    del reader
    return code


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
        "192.0.2.1",
        "2130706433",
    ],
)
async def test_a_private_address_is_refused(
    proxy_port: Callable[..., object], address: str
) -> None:
    port = await proxy_port()  # type: ignore[misc]
    assert await status(port, connect(f"{address}:443")) in (403, 502)


async def test_a_name_that_leads_inside_is_refused(
    proxy_port: Callable[..., object], echo: int
) -> None:
    port = await proxy_port(names={"inside.example": ["127.0.0.1", "10.0.0.1"]})  # type: ignore[misc]
    assert await status(port, connect(f"inside.example:{echo}")) == 403
    assert await status(port, connect("unknown.example:443")) == 502


async def test_of_a_name_with_both_only_the_public_address_is_used(
    proxy_port: Callable[..., object], echo: int
) -> None:
    """The public one does not answer here, and the private one is not tried instead."""
    names = {"both.example": ["127.0.0.1", "203.0.113.1"]}
    port = await proxy_port(names=names)  # type: ignore[misc]
    assert await status(port, connect(f"both.example:{echo}")) == 403, "documentation is not public"


async def test_what_a_rule_names_is_reached_and_nothing_else(
    proxy_port: Callable[..., object], echo: int
) -> None:
    port = await proxy_port(f"MAP meet.google.com 127.0.0.1:{echo}")  # type: ignore[misc]
    reader, writer, code = await ask(port, connect("meet.google.com:443"))
    assert code == 200
    writer.write(b"\x16\x03\x01" * 100_000)
    writer.write_eof()
    assert len(await reader.read()) == 300_000
    writer.close()
    assert await status(port, connect(f"127.0.0.1:{echo}")) == 403
    assert await status(port, connect(f"localhost:{echo}")) in (403, 502)


async def test_an_operator_may_allow_the_private_network(
    proxy_port: Callable[..., object], echo: int
) -> None:
    port = await proxy_port(allow_private=True)  # type: ignore[misc]
    assert await status(port, connect(f"127.0.0.1:{echo}")) == 200


async def test_nobody_there_is_told_as_that(proxy_port: Callable[..., object]) -> None:
    port = await proxy_port("MAP a.example 127.0.0.1:1")  # type: ignore[misc]
    assert await status(port, connect("a.example:443")) == 502


@pytest.mark.parametrize(
    "request_",
    [
        b"GET http://127.0.0.1/ HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"CONNECT a.example HTTP/1.1\r\n\r\n",
        b"CONNECT :443 HTTP/1.1\r\n\r\n",
        b"CONNECT a:x HTTP/1.1\r\n\r\n",
        b"CONNECT a:443\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"\r\n\r\n",
        b"CONNECT a:99999999 HTTP/1.1\r\n\r\n",
        b"CONNECT " + b"a" * 300 + b":443 HTTP/1.1\r\n\r\n",
    ],
)
async def test_anything_but_a_tunnel_is_refused(
    proxy_port: Callable[..., object], request_: bytes
) -> None:
    port = await proxy_port("MAP * 127.0.0.1:1")  # type: ignore[misc]
    assert await status(port, request_) in (403, 502)


async def test_a_head_without_end_is_not_kept(proxy_port: Callable[..., object]) -> None:
    port = await proxy_port()  # type: ignore[misc]
    reader, writer = await asyncio.open_connection(sock=_connected(port))
    writer.write(b"CONNECT " + b"a" * 100_000)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()


async def test_tunnels_end_with_the_proxy(echo: int) -> None:
    proxy = FilteringProxy(HostRules(f"MAP a 127.0.0.1:{echo}"), allow_private=False)
    port = await proxy.open()
    reader, writer, code = await ask(port, connect("a:443"))
    assert code == 200
    await proxy.close()
    assert await reader.read() == b""
    writer.close()


@given(st.binary(max_size=60))
def test_any_line_is_a_target_or_none(line: bytes) -> None:
    FilteringProxy(HostRules(""), allow_private=False)._target(line)


def test_this_machines_own_public_address_counts_as_private() -> None:
    """What listens there may be meant for nobody outside, and a firewall may see to that."""
    interfaces = psutil.net_if_addrs().values()
    own = [one.address for all_of in interfaces for one in all_of if one.family == socket.AF_INET]
    asked = [*own, "192.0.2.77", "2001:db8::77"]
    # In a process of its own, because tests connect to loopback alone.
    script = (
        "import sys; from sitin.runner import proxy; print([*map(proxy._is_own, sys.argv[1:])])"
    )
    command = [sys.executable, "-I", "-c", script, *asked]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert result.stdout.strip() == str([True] * len(own) + [False, False])
