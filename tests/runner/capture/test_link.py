"""The way from the page to the runner: who may come in, what is refused, how far back it tells."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from sitin.runner.capture.frames import (
    REPORT,
    TEXT,
    EncodedVideo,
    Item,
    PageMessage,
    pack_video,
)
from sitin.runner.capture.link import MAX_BATCH, PageLink
from tests.waiting import until

pytestmark = pytest.mark.unit


class Received:
    """A link and everything that has come through it."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.link = PageLink(self.items.extend)


@pytest.fixture
async def received() -> AsyncIterator[Received]:
    received = Received()
    await received.link.open()
    yield received
    await received.link.close()


def frame(data: bytes = b"x", track: int = 1) -> EncodedVideo:
    return EncodedVideo(track, True, 1, 2.0, 3, 4, data)


def plain(kind: int, payload: bytes) -> bytes:
    return bytes([kind]) + bytes(7) + len(payload).to_bytes(4, "little") + bytes(20) + payload


def text(message: str) -> bytes:
    return plain(TEXT, message.encode())


def report(payload: bytes) -> bytes:
    return plain(REPORT, payload)


async def refused(connection: ClientConnection) -> int:
    """The code with which the other side closes."""
    await connection.wait_closed()
    assert connection.close_code is not None
    return connection.close_code


async def test_batches_arrive_whole_and_in_order(received: Received) -> None:
    frames = [frame(b"%d" % number, number) for number in range(50)]
    async with connect(received.link.url) as page:
        for at in range(0, 50, 10):
            await page.send(b"".join(pack_video(one) for one in frames[at : at + 10]))
        await page.send(text("said"))
        await until(lambda: len(received.items) == 51)
    assert received.items == [*frames, PageMessage("said")]


@pytest.mark.parametrize("path", ["", "/", "/wrong", "/%2e%2e", "?token="])
async def test_who_does_not_know_the_token_is_not_let_in(received: Received, path: str) -> None:
    base = f"ws://127.0.0.1:{received.link.port}"
    with pytest.raises(InvalidStatus) as caught:
        await connect(base + path)
    assert caught.value.response.status_code == 403
    with pytest.raises(InvalidStatus):
        await connect(received.link.url + "x")
    with pytest.raises(InvalidStatus):
        await connect(received.link.url[:-1])


async def test_every_link_has_a_token_of_its_own(received: Received) -> None:
    other = PageLink(lambda _: None)
    await other.open()
    token = received.link.url.rpartition("/")[2]
    assert len(token) >= 24
    with pytest.raises(InvalidStatus):
        await connect(f"ws://127.0.0.1:{other.port}/{token}")
    await other.close()


async def test_it_listens_on_loopback_alone(received: Received) -> None:
    assert received.link.url.startswith("ws://127.0.0.1:")
    server = received.link._server
    assert server is not None
    assert {socket.getsockname()[0] for socket in server.sockets} == {"127.0.0.1"}


@pytest.mark.parametrize("batch", [b"\x09" * 40, pack_video(frame())[:-1], b"x", "text"])
async def test_a_malformed_batch_closes_its_connection_and_no_other(
    received: Received, batch: bytes | str
) -> None:
    async with connect(received.link.url) as good, connect(received.link.url) as bad:
        await bad.send(batch)
        assert await refused(bad) == 1003
        assert received.items == []
        await good.send(pack_video(frame()))
        await until(lambda: received.items == [frame()])


async def test_too_large_a_batch_is_not_even_read(received: Received) -> None:
    async with connect(received.link.url) as page:
        # The head of a masked binary frame of this length, and nothing of what it announces.
        page.transport.write(b"\x82\xff" + (MAX_BATCH + 1).to_bytes(8, "big") + b"\0\0\0\0")
        assert await refused(page) == 1009
    assert received.items == []


async def test_commands_reach_documents_that_are_there_and_those_that_come(
    received: Received,
) -> None:
    async with connect(received.link.url) as first:
        await first.send(pack_video(frame()))
        await until(lambda: bool(received.items))
        received.link.command(select=[3])
        assert await first.recv() == '{"select": [3]}'
        received.link.command(keyframe=3)
        assert await first.recv() == '{"keyframe": 3}'
        received.link.command(take="beside")
        async with connect(received.link.url) as second:
            # What holds for every document is told again; what was for the moment is not.
            assert await second.recv() == '{"select": [3], "take": "beside"}'


FLUSHED = b'{"type": "flushed"}'


async def test_what_a_document_holds_is_waited_for(received: Received) -> None:
    async with connect(received.link.url) as first, connect(received.link.url) as second:
        for page in (first, second):
            await page.send(pack_video(frame()))
        await until(lambda: len(received.items) == 2)
        flushing = asyncio.create_task(received.link.flush(60))
        for page in (first, second):
            assert not flushing.done()
            assert await page.recv() == '{"flush": true}'
            await page.send(pack_video(frame(b"last")) + report(FLUSHED))
        await flushing
    assert received.items[2:] == [frame(b"last")] * 2


async def test_a_document_that_goes_or_hangs_is_not_waited_for(received: Received) -> None:
    await received.link.flush(60)
    async with connect(received.link.url) as page:
        await page.send(pack_video(frame()))
        await until(lambda: bool(received.items))
        await received.link.flush(0.01)
        flushing = asyncio.create_task(received.link.flush(60))
        page.transport.abort()
        await flushing


async def test_a_command_to_a_page_that_has_gone_hurts_nobody(received: Received) -> None:
    async with connect(received.link.url) as page:
        await page.send(pack_video(frame()))
        await until(lambda: bool(received.items))
        page.transport.abort()
    received.link.command(flush=True)
    await asyncio.sleep(0)
    async with connect(received.link.url) as page:
        await page.send(pack_video(frame(track=2)))
        await until(lambda: len(received.items) == 2)


async def test_the_way_through_the_page_is_as_strict(received: Received) -> None:
    through = received.link._through_page
    through(base64.b64encode(pack_video(frame())).decode())
    assert received.items == [frame()]
    for malformed in ("", "!", "AAAA", base64.b64encode(b"\x09" * 40).decode(), "é"):
        through(malformed)
    through("A" * (MAX_BATCH + 4))
    assert received.items == [frame()]
