"""The outgoing client against a real server, with a resolver that says what the test wants."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from sitin.kit.http import (
    AnswerTooLargeError,
    NoAnswerError,
    NoAnswerInTimeError,
    OutgoingClient,
    UrlRefusedError,
)
from sitin.kit.waiting import wait_for_event

pytestmark = pytest.mark.unit

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Resolver:
    """Answers one list of addresses after the other, the last one for ever."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


@contextlib.asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    handling: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await asyncio.gather(*(task for task in handling if task is not None))


def answering(text: str, seen: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(request)
        writer.write(text.replace("\n", "\r\n").encode())
        await writer.drain()

    return serve


OK = "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"


async def test_an_answer_is_kept_up_to_a_size() -> None:
    async with server(answering(OK)) as port, OutgoingClient(allow_private=True) as client:
        url = f"http://127.0.0.1:{port}/"
        answer = await client.request("POST", url, seconds=10, keep=100, content=b"{}")
        assert (answer.status, answer.body, answer.truncated) == (200, b"hello", False)
        answer = await client.request("POST", url, seconds=10, keep=4)
        assert (answer.body, answer.truncated) == (b"hell", True)


async def test_an_endless_answer_is_left_off() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with server(serve) as port, OutgoingClient(allow_private=True) as client:
        answer = await client.request("GET", f"http://127.0.0.1:{port}/", seconds=30, keep=1000)
        assert len(answer.body) == 1000
        with pytest.raises(AnswerTooLargeError):
            await client.download(f"http://127.0.0.1:{port}/", seconds=30, largest=1000)


@pytest.mark.parametrize("part", ["headers", "body"])
async def test_a_trickle_does_not_outlast_the_time(part: str) -> None:
    stop = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if part == "body" else b""))
        while not stop.is_set():
            writer.write(b"x")
            await writer.drain()
            await wait_for_event(stop, 0.01)

    async with server(serve) as port, OutgoingClient(allow_private=True) as client:
        with pytest.raises(NoAnswerInTimeError):
            await client.request("GET", f"http://127.0.0.1:{port}/", seconds=0.3, keep=10**6)
        stop.set()


async def test_nobody_listening_is_no_answer() -> None:
    async with server(answering(OK)) as port:
        pass
    async with OutgoingClient(allow_private=True) as client:
        with pytest.raises(NoAnswerError, match="connection failed"):
            await client.request("GET", f"http://127.0.0.1:{port}/", seconds=10, keep=10)


async def test_an_unknown_name_is_no_answer_and_passes_the_early_check() -> None:
    async with OutgoingClient(resolver=Resolver(OSError("unknown"))) as client:
        client.check_url("https://not-yet.example/hook")
        with pytest.raises(NoAnswerError, match=r"not-yet\.example is not known"):
            await client.request("GET", "https://not-yet.example/hook", seconds=10, keep=10)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LocalHost", "127.1", "2130706433", "[::1]"]
)
async def test_a_private_address_is_refused_early_and_late(host: str) -> None:
    async with server(answering(OK)) as port, OutgoingClient() as client:
        url = f"http://{host}:{port}/"
        with pytest.raises(UrlRefusedError, match="public addresses only"):
            client.check_url(url)
        with pytest.raises(UrlRefusedError, match="public addresses only"):
            await client.request("GET", url, seconds=10, keep=10)


async def test_a_name_is_resolved_and_refused_when_it_is_asked_and_not_before() -> None:
    resolver = Resolver(["127.0.0.1"])
    async with server(answering(OK)) as port, OutgoingClient(resolver=resolver) as client:
        url = f"http://rebinding.example:{port}/"
        client.check_url(url)
        assert resolver.asked == []
        with pytest.raises(UrlRefusedError):
            await client.request("GET", url, seconds=10, keep=10)
        assert resolver.asked == ["rebinding.example"]


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    resolver = Resolver(["127.0.0.1"], ["192.0.2.1"])
    seen: list[bytes] = []
    async with (
        server(answering(OK, seen)) as port,
        OutgoingClient(allow_private=True, resolver=resolver) as client,
    ):
        await client.request("GET", f"http://customer.example:{port}/", seconds=10, keep=10)
    assert resolver.asked == ["customer.example"]
    assert f"host: customer.example:{port}".encode() in seen[0].lower()


async def test_of_several_addresses_the_private_ones_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected: list[str] = []

    async def connect(_: object, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise OSError("unreachable")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
    resolver = Resolver(["127.0.0.1", "93.184.216.34", "::1", "2606:4700::1111"])
    async with OutgoingClient(resolver=resolver) as client:
        with pytest.raises(NoAnswerError):
            await client.request("GET", "http://mixed.example/", seconds=10, keep=10)
    assert connected == ["93.184.216.34", "2606:4700::1111"]


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    resolver = Resolver(["::1", "127.0.0.1"])  # the server listens on the second only
    async with (
        server(answering(OK)) as port,
        OutgoingClient(allow_private=True, resolver=resolver) as client,
    ):
        answer = await client.request("GET", f"http://two.example:{port}/", seconds=20, keep=10)
    assert answer.status == 200


async def test_a_redirect_is_an_answer() -> None:
    redirect = "HTTP/1.1 302 Found\nLocation: http://elsewhere.example/\nContent-Length: 0\n\n"
    async with server(answering(redirect)) as port, OutgoingClient(allow_private=True) as client:
        answer = await client.request("POST", f"http://127.0.0.1:{port}/", seconds=10, keep=10)
    assert answer.status == 302


async def test_a_download_follows_redirects_through_the_same_check() -> None:
    resolver = Resolver(["127.0.0.1"])
    async with server(answering(OK)) as target:
        location = (
            f"HTTP/1.1 302 Found\nLocation: http://b.example:{target}/x\nContent-Length: 0\n\n"
        )
        async with (
            server(answering(location)) as port,
            OutgoingClient(allow_private=True, resolver=resolver) as client,
        ):
            answer = await client.download(f"http://a.example:{port}/", seconds=10, largest=1000)
    assert answer.body == b"hello"
    assert resolver.asked == ["a.example", "b.example"]


async def test_redirects_to_bad_addresses_and_in_circles_end() -> None:
    for location, error in [
        ("file:///etc/passwd", UrlRefusedError),
        ("http://user:password@b.example/", UrlRefusedError),
        ("/", NoAnswerError),
    ]:
        text = f"HTTP/1.1 302 Found\nLocation: {location}\nContent-Length: 0\n\n"
        async with server(answering(text)) as port, OutgoingClient(allow_private=True) as client:
            with pytest.raises(error):
                await client.download(f"http://127.0.0.1:{port}/", seconds=10, largest=1000)


def counting(connections: list[int], *, then_close: bool = False) -> Serve:
    """Answers every request of a connection; ``connections`` tells how many each has had."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        number = len(connections) - 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while not then_close or not connections[number]:
                await reader.readuntil(b"\r\n\r\n")
                connections[number] += 1
                writer.write(OK.replace("\n", "\r\n").encode())
                await writer.drain()

    return serve


async def test_a_connection_is_used_again() -> None:
    connections: list[int] = []
    async with server(counting(connections)) as port, OutgoingClient(allow_private=True) as client:
        for _ in range(3):
            await client.request("POST", f"http://127.0.0.1:{port}/", seconds=10, keep=10)
    assert connections == [3]


async def test_a_connection_that_was_closed_meanwhile_is_made_again() -> None:
    """The server closes each connection after its answer and does not say so."""
    connections: list[int] = []
    serve = counting(connections, then_close=True)
    async with server(serve) as port, OutgoingClient(allow_private=True) as client:
        for _ in range(5):
            answer = await client.request("POST", f"http://127.0.0.1:{port}/", seconds=10, keep=10)
            assert answer.status == 200
    assert connections == [1] * 5


async def test_a_new_connection_that_breaks_is_no_answer_and_not_repeated() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))

    async with server(serve) as port, OutgoingClient(allow_private=True) as client:
        with pytest.raises(NoAnswerError):
            await client.request("POST", f"http://127.0.0.1:{port}/", seconds=10, keep=10)
    assert len(asked) == 1


async def test_the_address_is_looked_at_once_more_when_the_socket_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever way an address might get past the looks before."""
    monkeypatch.setattr("sitin.kit.http._numeric", lambda _: None)
    seen: list[bytes] = []
    async with server(answering(OK, seen)) as port, OutgoingClient() as client:
        with pytest.raises(NoAnswerError, match="not on the public internet"):
            await client.request("GET", f"http://127.0.0.1:{port}/", seconds=10, keep=10)
    assert seen == []


async def test_a_path_is_sent_as_it_is_written() -> None:
    seen: list[bytes] = []
    path = "/a%2Fb%20c?sig=x%2By/z==&q=%E2%82%AC"
    async with server(answering(OK, seen)) as port, OutgoingClient(allow_private=True) as client:
        await client.request("GET", f"http://127.0.0.1:{port}{path}", seconds=10, keep=10)
    assert seen[0].startswith(f"GET {path} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://example.com/", "begin with http:// or https://"),
        ("//example.com/", "begin with"),
        ("example.com", "begin with"),
        ("javascript:alert(1)", "begin with"),
        ("http://", "names no host"),
        ("https://user@example.com/", "user name or password"),
        ("https://user:pw@example.com/", "user name or password"),
        ("https://example.com:99999/", "no valid URL"),
        ("https://example.com:0/", "no valid URL"),
        ("https://exa mple.com/", "no valid URL"),
        ("https://exa%6dple.com/", "no valid URL"),
        ("https://example.com/\x00", "no valid URL"),
        ("https://example.com/" + "x" * 3000, "longer than"),
    ],
)
async def test_what_is_no_address_gets_a_sentence(url: str, sentence: str) -> None:
    async with OutgoingClient(resolver=Resolver(["1.1.1.1"])) as client:
        with pytest.raises(UrlRefusedError, match=sentence) as caught:
            client.check_url(url)
        assert caught.value.message.endswith(".")
        with pytest.raises(UrlRefusedError):
            await client.request("GET", url, seconds=10, keep=10)


async def test_other_schemes_can_be_asked_for() -> None:
    async with OutgoingClient(resolver=Resolver(["1.1.1.1"])) as client:
        client.check_url("wss://example.com/", schemes=("ws", "wss"))
        with pytest.raises(UrlRefusedError, match="ws:// or wss://"):
            client.check_url("https://example.com/", schemes=("ws", "wss"))
