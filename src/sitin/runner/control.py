"""The Unix socket of a runner: commands in, news of the spool out. For runner and supervisor.

Both sides send JSON lines. A client says ``Follow`` and is sent every event above the number it
named, and a line ``{"kind": "alive"}`` every few seconds, which tells that the runner's loop turns.
The socket is reached through its directory's descriptor, because a socket's own path may have no
more than 107 bytes.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from sitin.contract.events import BotEvent, Command, Follow, Leave, OtherBots
from sitin.kit.waiting import wait_for_event
from sitin.runner.spool import Spool, read_spool

log = structlog.get_logger()

NAME = "control.sock"
ALIVE_EVERY = 5.0
"""Seconds between signs of life."""
_LAST_WITHIN = 1.0
"""Seconds that a client has for taking the last news; they are in the spool as well."""
_ALIVE = b'{"kind": "alive"}\n'
_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)
_LINE_LIMIT = 1 << 20


class ControlServer:
    """The runner's side."""

    def __init__(
        self,
        directory: Path,
        spool: Spool,
        on_leave: Callable[[], None],
        *,
        on_other_bots: Callable[[tuple[str, ...]], None] = lambda _: None,
        alive_every: float = ALIVE_EVERY,
    ) -> None:
        self._alive_every = alive_every
        self._directory = directory
        self._spool = spool
        self._on_leave = on_leave
        self._on_other_bots = on_other_bots
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._news: dict[asyncio.Task[None], asyncio.Event] = {}
        """Who is sent news, and what tells that there are some."""
        self._closing = False

    async def open(self) -> None:
        """Listen."""
        (self._directory / NAME).unlink(missing_ok=True)
        with _short_path(self._directory) as path:
            self._server = await asyncio.start_unix_server(
                self._serve, path=path, limit=_LINE_LIMIT
            )

    async def close(self) -> None:
        """Send what is still to be sent and stop listening."""
        assert self._server is not None
        self._server.close()
        self._closing = True
        for fresh in self._news.values():
            fresh.set()
        if self._news:
            await asyncio.wait(self._news, timeout=_LAST_WITHIN)
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        (self._directory / NAME).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        news: asyncio.Task[None] | None = None
        try:
            async for line in reader:
                command = _COMMAND.validate_json(line)
                if isinstance(command, Leave):
                    self._on_leave()
                elif isinstance(command, OtherBots):
                    self._on_other_bots(command.participant_ids)
                elif news is None:
                    fresh = asyncio.Event()
                    news = asyncio.create_task(self._send_news(command, writer, fresh))
                    self._news[news] = fresh
        except ValueError as error:
            log.warning("malformed command", why=str(error))
        except ConnectionError:
            log.debug("client is gone")
        finally:
            if news is not None:
                del self._news[news]
                news.cancel()
            try:
                await _close(writer)
            finally:
                self._clients.discard(task)

    async def _send_news(
        self, follow: Follow, writer: asyncio.StreamWriter, fresh: asyncio.Event
    ) -> None:
        stop = self._spool.listen(lambda _: fresh.set())
        sent = follow.after
        try:
            while True:
                fresh.clear()
                for event in read_spool(self._directory, after=sent):
                    writer.write(event.model_dump_json().encode() + b"\n")
                    sent = event.seq
                await writer.drain()
                if self._closing:
                    return
                if not await wait_for_event(fresh, self._alive_every):
                    writer.write(_ALIVE)
        except ConnectionError:
            log.debug("client is gone")
        finally:
            stop()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection once what is on its way is out; who does not take it is left."""
    writer.close()
    try:
        async with asyncio.timeout(_LAST_WITHIN):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except asyncio.CancelledError:
        writer.transport.abort()
        raise
    except ConnectionError:
        log.debug("client is gone")


class ControlClient:
    """The supervisor's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def leave(self) -> None:
        """Ask the bot to leave."""
        await self._say(Leave())

    async def tell_other_bots(self, participant_ids: Iterable[str]) -> None:
        """Tell the bot under which ids other bots of this install are in its meeting."""
        await self._say(OtherBots(participant_ids=tuple(participant_ids)))

    async def news(self, *, after: int) -> AsyncIterator[BotEvent | None]:
        """Events above ``after``, and ``None`` for a sign of life; ends with the runner.

        Raises ``ValueError`` for what is no event.
        """
        await self._say(Follow(after=after))
        async for line in self._reader:
            if line == _ALIVE:
                yield None
            elif line.endswith(b"\n"):
                yield BotEvent.model_validate_json(line)

    async def close(self) -> None:
        """Close the connection."""
        await _close(self._writer)

    async def _say(self, command: Command) -> None:
        self._writer.write(command.model_dump_json().encode() + b"\n")
        await self._writer.drain()


@asynccontextmanager
async def connect(directory: Path) -> AsyncIterator[ControlClient]:
    """A connection to the runner of this directory; raises ``OSError`` where none listens."""
    with _short_path(directory) as path:
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE_LIMIT)
    client = ControlClient(reader, writer)
    try:
        yield client
    finally:
        await client.close()


class _short_path:  # noqa: N801 (a function with an end)
    """The socket's path by way of an open descriptor of its directory."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._descriptor}/{NAME}"

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
