"""One visitor: a page that has been opened at the meeting's address. For the meeting.

The page and this side talk JSON over a WebSocket; what arrives from the page is checked against
``PageMessage`` and refused otherwise.
"""

import asyncio
import contextlib
from typing import Annotated, Any, Literal, Protocol

import structlog
from pydantic import Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from sitin.contract.base import Frozen
from sitin.platforms.meet import wire_pb2 as wire
from sitin.rehearsal.meet.collections import Collections, caption_message
from sitin.rehearsal.meet.connection import MeetConnection, Surroundings
from sitin.rehearsal.meet.texts import CONSENTS, screen_texts
from sitin.rehearsal.people import Feed, Person
from sitin.rehearsal.sound import CaptionLine

log = structlog.get_logger(__name__)


class Ask(Frozen):
    """The visitor asks to join."""

    type: Literal["ask"]
    name: str = Field(min_length=1, max_length=200)


class Offer(Frozen):
    """The page offers a connection, or offers it anew."""

    type: Literal["offer"]
    sdp: str = Field(max_length=200_000)


class Enter(Frozen):
    """The visitor has pressed the second "Join now"."""

    type: Literal["enter"]


class LeaveCall(Frozen):
    """The visitor leaves, or gives up asking."""

    type: Literal["leave"]


class SetCaptions(Frozen):
    """The visitor turns captions on or off."""

    type: Literal["captions"]
    on: bool


class WriteChat(Frozen):
    """The visitor writes to everybody."""

    type: Literal["chat"]
    text: str = Field(min_length=1, max_length=516)


PageMessage = Annotated[
    Ask | Offer | Enter | LeaveCall | SetCaptions | WriteChat, Field(discriminator="type")
]
_PAGE_MESSAGE: TypeAdapter[PageMessage] = TypeAdapter(PageMessage)


class Host(Protocol):
    """What a visitor asks of the meeting."""

    def visitor_asked(self, visitor: "MeetVisitor", name: str) -> None:
        """It asks to join."""
        ...

    def visitor_entered(self, visitor: "MeetVisitor") -> None:
        """It is in the call; what there is to see and hear has to be told."""
        ...

    def visitor_connected(self, visitor: "MeetVisitor") -> None:
        """Its media is connected."""
        ...

    def visitor_left(self, visitor: "MeetVisitor", *, by_button: bool) -> None:
        """It has left, or its page is gone."""
        ...

    def visitor_wrote(self, visitor: "MeetVisitor", text: str) -> None:
        """It wrote to everybody."""
        ...


class MeetVisitor:
    """The page of one visitor and everything it is told."""

    def __init__(
        self, visitor_id: str, socket: WebSocket, host: Host, meeting: Surroundings
    ) -> None:
        self.id = visitor_id
        self.name = ""
        self.device_id = ""
        self.in_call = False
        self._socket = socket
        self._host = host
        self._meeting = meeting
        self._outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._connection: MeetConnection | None = None
        self._collections = Collections()
        self._captions_on = False

    async def run(self) -> None:
        """Serve the page until it goes away."""
        writer = asyncio.create_task(self._write())
        try:
            while True:
                await self._receive(await self._socket.receive_text())
        except WebSocketDisconnect:
            self._host.visitor_left(self, by_button=False)
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            await self.hang_up()

    def show_screen(self, screen: str, **details: Any) -> None:
        """Change what the page shows."""
        curly = self._meeting.script.prejoin.curly_apostrophes
        self._tell(type="screen", screen=screen, texts=screen_texts(screen, curly=curly), **details)

    def admit(self) -> None:
        """Let it in, by way of a second "Join now" where the script has one."""
        if self._meeting.script.prejoin.second_join:
            self.show_screen("second_join")
        else:
            self.enter()

    def enter(self) -> None:
        """Put it into the call."""
        consent = self._meeting.script.prejoin.consent
        self.in_call = True
        self._connection = MeetConnection(
            self.id, self._meeting, on_connected=lambda: self._host.visitor_connected(self)
        )
        self.show_screen("call", consent=CONSENTS[consent] if consent else None)
        self._host.visitor_entered(self)

    async def hang_up(self) -> None:
        """End its connection."""
        self.in_call = False
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    def removed(self) -> None:
        """Tell its page by the roster that it has been removed."""
        if self._connection is not None:
            self._connection.send_collections(self._collections.removed(self.device_id))

    async def dismiss(self, screen: str) -> None:
        """Show why it is over, once what was told before has arrived, and hang up."""
        if self._connection is not None:
            await self._connection.drained()
        self.show_screen(screen)
        await self.hang_up()

    def show_people(
        self,
        people: list[Person],
        users: list[wire.User],
        outputs: list[wire.DeviceOutput],
        tiles: list[dict[str, Any]],
    ) -> None:
        """Tell who is there and what they show."""
        if self._connection is None:
            return
        changes = self._collections.changes(users, outputs)
        if changes is not None:
            self._connection.send_collections(changes)
        self._tell(type="tiles", tiles=tiles)
        feeds: list[Feed] = [feed for person in people if person.present for feed in person.feeds]
        first = self._connection.video_lines == 0
        if self._connection.show(feeds) or first:
            self._tell(type="negotiate", videos=self._connection.video_lines)

    def show_speaking(self, device_ids: list[str]) -> None:
        """Tell who is speaking now."""
        if self.in_call:
            self._tell(type="speaking", devices=device_ids)

    def show_caption(self, line: CaptionLine) -> None:
        """Tell what is being said, if captions are on."""
        if self._connection is None or not self._captions_on:
            return
        self._connection.send_caption(caption_message(line))
        self._tell(type="caption", id=line.caption_id, name=line.person.spec.name, text=line.text)

    def show_chat(self, message_id: str, device_id: str, name: str, text: str) -> None:
        """Tell what somebody wrote."""
        if self._connection is not None:
            self._connection.send_collections(self._collections.chat(message_id, device_id, text))
            self._tell(type="chat", name=name, text=text)

    def _tell(self, **message: Any) -> None:
        self._outgoing.put_nowait(message)

    async def _write(self) -> None:
        try:
            while True:
                await self._socket.send_json(await self._outgoing.get())
        except (WebSocketDisconnect, RuntimeError) as error:
            # The page went away between two messages; reading notices it and ends the visit.
            log.debug("rehearsal.page_gone", visitor=self.id, error=str(error))

    async def _receive(self, text: str) -> None:
        try:
            message = _PAGE_MESSAGE.validate_json(text)
        except ValidationError as error:
            log.warning("rehearsal.page_message_refused", visitor=self.id, error=str(error))
            return
        match message:
            case Ask(name=name):
                self._host.visitor_asked(self, name)
            case Enter() if self.device_id and not self.in_call:
                self.enter()
            case Enter():
                log.warning("rehearsal.entered_unasked", visitor=self.id)
            case LeaveCall():
                self._host.visitor_left(self, by_button=True)
                await self.hang_up()
            case Offer(sdp=sdp):
                await self._answer(sdp)
            case SetCaptions(on=on):
                self._captions_on = on
            case WriteChat(text=words):
                self._host.visitor_wrote(self, words)

    async def _answer(self, sdp: str) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            answer = await connection.answer(sdp)
        except ValueError as error:
            log.warning("rehearsal.offer_refused", visitor=self.id, error=str(error))
            return
        self._tell(type="answer", sdp=answer)
        if connection.lacks_lines:
            self._tell(type="negotiate", videos=connection.video_lines)
