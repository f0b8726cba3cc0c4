"""Who is in a Google Meet meeting and which stream is whose, from what its channels say.

For the adapter. The messages are untrusted: they are bounded before they are unpacked, and one that
does not parse changes nothing.
"""

import base64
import binascii
import zlib

from google.protobuf.message import DecodeError
from pydantic import Field, ValidationError

from sitin.contract.base import Frozen
from sitin.contract.meeting import UNNAMED, MediaSource, Roster, RosterEntry, Sources
from sitin.platforms.meet import wire_pb2 as wire

MAX_MESSAGE = 4 * 1024 * 1024
"""Bytes of one message after unpacking; a meeting of a thousand has some 300 kB."""


class UnreadableError(Exception):
    """A message that is not what this channel carries."""


class _Tile(Frozen):
    id: str = Field(max_length=500)
    name: str = Field(max_length=200)
    self: bool


class _Tiles(Frozen):
    tiles: tuple[_Tile, ...] = Field(max_length=500)


class MeetRoster:
    """Keeps what the messages have told so far."""

    def __init__(self) -> None:
        self._users: dict[str, wire.User] = {}
        self._outputs: dict[tuple[str, int], str] = {}
        self._tiles: tuple[_Tile, ...] = ()

    def take_tiles(self, message: str) -> bool:
        """Take who is there by the page's markup; true when something has changed by it.

        It counts only where no channel has told of anybody: it shows those whose picture is on the
        page, and not which stream is whose.
        """
        try:
            tiles = _Tiles.model_validate_json(message).tiles
        except ValidationError as error:
            raise UnreadableError("these are no tiles") from error
        before = self._state()
        self._tiles = tiles
        return self._state() != before

    def take_collections(self, message: bytes) -> bool:
        """Take a message of the data channel; true when something has changed by it."""
        event = wire.CollectionEvent()
        _parse(event, _inflate(message))
        update = event.body.update
        before = self._state()
        for output in update.devices.outputs:
            self._take_output(output)
        for user in update.space.user_list.users:
            self._users[user.device_id] = user
        return self._state() != before

    def take_sync(self, body: bytes) -> bool:
        """Take the answer to the request at the start; true when something has changed by it."""
        reply = wire.SyncReply()
        try:
            _parse(reply, base64.b64decode(body, validate=False))
        except binascii.Error as error:
            raise UnreadableError("the reply is no base64") from error
        before = self._state()
        for user in reply.body.users.users:
            self._users[user.device_id] = user
        return self._state() != before

    def roster(self) -> Roster:
        """Everybody who is in the meeting."""
        if not self._users:
            return Roster(
                entries=tuple(
                    RosterEntry(participant_id=one.id, name=one.name or UNNAMED, is_self=one.self)
                    for one in self._tiles
                )
            )
        return Roster(
            entries=tuple(
                RosterEntry(
                    participant_id=user.device_id,
                    name=user.display_name or user.full_name or UNNAMED,
                    picture=user.picture,
                    is_self=user.HasField("self"),
                    is_presentation_of=user.parent_device_id or None,
                )
                for user in self._users.values()
                if user.status == wire.USER_STATUS_IN_MEETING
            )
        )

    def sources(self) -> Sources:
        """Whose the streams are."""
        audio: dict[str, MediaSource] = {}
        video: dict[str, MediaSource] = {}
        for (device, kind), stream in self._outputs.items():
            if kind == wire.OUTPUT_TYPE_AUDIO:
                audio[stream] = self._source(device)
            elif kind == wire.OUTPUT_TYPE_VIDEO:
                video[stream] = self._source(device)
        return Sources(audio=audio, video=video)

    def removed(self) -> bool:
        """Whether the bot's own entry says that it was removed."""
        return any(
            user.HasField("self") and user.status == wire.USER_STATUS_REMOVED
            for user in self._users.values()
        )

    def _take_output(self, output: wire.DeviceOutput) -> None:
        key = (output.device_id, int(output.type))
        if output.state.disabled and output.type == wire.OUTPUT_TYPE_VIDEO:
            self._outputs.pop(key, None)
        elif output.stream_id:
            self._outputs[key] = output.stream_id

    def _source(self, device: str) -> MediaSource:
        """A presented screen speaks and shows for whoever presents it."""
        user = self._users.get(device)
        if user is not None and user.parent_device_id:
            return MediaSource(participant_id=user.parent_device_id, presentation=True)
        return MediaSource(participant_id=device)

    def _state(self) -> tuple[Roster, Sources]:
        return self.roster(), self.sources()


def _parse(message: wire.CollectionEvent | wire.SyncReply, data: bytes) -> None:
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise UnreadableError("the message does not parse") from error


def _inflate(message: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(message, MAX_MESSAGE)
    except zlib.error as error:
        raise UnreadableError("the message is not compressed") from error
    if unpacker.unconsumed_tail:
        raise UnreadableError(f"the message has more than {MAX_MESSAGE} bytes")
    return data
