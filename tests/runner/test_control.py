"""A runner's socket: news out, commands in, whatever a client sends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sitin.contract.codes import BotStatus
from sitin.contract.events import BotEvent, StatusReached
from sitin.runner import control
from sitin.runner.control import NAME, ControlServer
from sitin.runner.spool import Spool
from tests.waiting import until

pytestmark = pytest.mark.unit


class Runner:
    """A runner's side, and how often it was asked to leave."""

    def __init__(self, directory: Path, *, alive_every: float = 60.0) -> None:
        self.directory = directory
        self.spool = Spool(directory, 1)
        self.leaves = 0
        self.other_bots: list[tuple[str, ...]] = []
        self.server = ControlServer(
            directory,
            self.spool,
            self._left,
            on_other_bots=self.other_bots.append,
            alive_every=alive_every,
        )

    def _left(self) -> None:
        self.leaves += 1

    def reach(self, status: BotStatus = BotStatus.JOINING_CALL) -> BotEvent:
        return self.spool.append(StatusReached(status=status))


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[Runner]:
    # A recording's directory has a name that leaves no room for a socket's within 107 bytes.
    directory = tmp_path / ("long" * 30)
    directory.mkdir()
    runner = Runner(directory)
    await runner.server.open()
    yield runner
    await runner.server.close()
    runner.spool.close()


async def test_news_are_what_was_and_what_comes(runner: Runner) -> None:
    old = [runner.reach() for _ in range(3)]
    async with control.connect(runner.directory) as client:
        news = aiter(client.news(after=1))
        assert [await anext(news) for _ in range(2)] == old[1:]
        fresh = runner.reach(BotStatus.IN_WAITING_ROOM)
        assert await anext(news) == fresh


async def test_it_is_told_of_other_bots(runner: Runner) -> None:
    async with control.connect(runner.directory) as client:
        await client.tell_other_bots({"spaces/1/devices/7"})
        await client.leave()
    await until(lambda: runner.leaves == 1)
    assert runner.other_bots == [("spaces/1/devices/7",)]


async def test_everybody_who_follows_is_told_everything(runner: Runner) -> None:
    async with control.connect(runner.directory) as one, control.connect(runner.directory) as two:
        streams = [aiter(client.news(after=0)) for client in (one, two)]
        events = [runner.reach() for _ in range(200)]
        for stream in streams:
            assert [await anext(stream) for _ in range(200)] == events


async def test_leaving_is_asked_for(runner: Runner) -> None:
    async with control.connect(runner.directory) as client:
        await client.leave()
        await client.leave()
        await until(lambda: runner.leaves == 2)


async def test_a_sign_of_life_comes_while_nothing_happens(tmp_path: Path) -> None:
    runner = Runner(tmp_path, alive_every=0.01)
    await runner.server.open()
    event = runner.reach()
    async with control.connect(tmp_path) as client:
        news = aiter(client.news(after=0))
        assert [await anext(news) for _ in range(4)] == [event, None, None, None]
    await runner.server.close()
    runner.spool.close()


async def test_news_end_with_the_runner(runner: Runner) -> None:
    event = runner.reach()
    async with control.connect(runner.directory) as client:
        news = aiter(client.news(after=0))
        assert await anext(news) == event
        await runner.server.close()
        with pytest.raises(StopAsyncIteration):
            await anext(news)
        assert not (runner.directory / NAME).exists()
        with pytest.raises(OSError, match="No such file"):
            async with control.connect(runner.directory):
                pass
        await runner.server.open()


@pytest.mark.parametrize(
    "sent",
    [b"\n", b"leave\n", b'{"kind": "dance"}\n', b'{"kind": "follow", "after": "x"}\n', b"\xff\n"],
)
async def test_a_malformed_command_ends_its_connection_alone(runner: Runner, sent: bytes) -> None:
    async with control.connect(runner.directory) as good, control.connect(runner.directory) as bad:
        bad._writer.write(sent)
        assert await bad._reader.read() == b""
        await good.leave()
        await until(lambda: runner.leaves == 1)


async def test_a_command_without_end_is_not_kept(runner: Runner) -> None:
    async with control.connect(runner.directory) as client:
        client._writer.write(b"x" * (3 << 20))
        # Closed with the most of it unread.
        with contextlib.suppress(ConnectionResetError):
            assert await client._reader.read() == b""
    async with control.connect(runner.directory) as client:
        await client.leave()
        await until(lambda: runner.leaves == 1)


@pytest.mark.parametrize("said", [b"nonsense\n", b'{"seq": 1}\n', b"x" * (3 << 20)])
async def test_a_runner_that_talks_nonsense_is_found_out(tmp_path: Path, said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        writer.close()

    server = await asyncio.start_unix_server(talk, tmp_path / NAME)
    async with control.connect(tmp_path) as client:
        with pytest.raises(ValueError, match=r"."):
            await anext(aiter(client.news(after=0)))
    server.close()


async def test_what_a_killed_runner_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("")
    runner = Runner(tmp_path)
    await runner.server.open()
    async with control.connect(tmp_path) as client:
        await client.leave()
        await until(lambda: runner.leaves == 1)
    await runner.server.close()
    runner.spool.close()
