"""What Meet's page is told about people and streams, as Meet encodes it. For visitors.

The channel tells what has changed since the message before; somebody who left is told of once
more, with another status.
"""

import base64
import time
import zlib
from collections.abc import Iterable

from sitin.platforms.meet import wire_pb2 as wire
from sitin.rehearsal.people import Person
from sitin.rehearsal.sound import CaptionLine

_ENGLISH = 1
"""Meet's numbers for languages are not public; a rehearsal speaks this one."""


def user_of(person: Person) -> wire.User:
    """A participant as the roster has them."""
    return wire.User(
        device_id=person.device_id,
        full_name=person.spec.name,
        display_name=person.spec.name,
        picture=person.spec.picture,
        status=wire.USER_STATUS_IN_MEETING,
        is_host=int(person.spec.host),
    )


def users_of(people: Iterable[Person]) -> list[wire.User]:
    """Everybody who is in the meeting, and a device of its own for each shared screen."""
    users = []
    for person in people:
        if not person.present:
            continue
        users.append(user_of(person))
        if person.presentation is not None:
            screen = user_of(person)
            screen.device_id = person.presentation.device_id
            screen.parent_device_id = person.device_id
            users.append(screen)
    return users


def visitor_user(device_id: str, name: str, *, is_self: bool) -> wire.User:
    """A visitor as the roster has them."""
    user = wire.User(
        device_id=device_id,
        full_name=name,
        display_name=name,
        status=wire.USER_STATUS_IN_MEETING,
    )
    if is_self:
        user.self = "1"
    return user


def outputs_of(people: Iterable[Person]) -> list[wire.DeviceOutput]:
    """Which stream carries whose sound and picture."""
    outputs = []
    for person in people:
        if not person.present:
            continue
        outputs.append(
            _output(
                wire.OUTPUT_TYPE_AUDIO, str(person.source), person.device_id, on=not person.muted
            )
        )
        outputs.extend(
            _output(wire.OUTPUT_TYPE_VIDEO, feed.stream_id, feed.device_id, on=True)
            for feed in person.feeds
        )
    return outputs


def _output(
    kind: wire.OutputType.ValueType, stream_id: str, device_id: str, *, on: bool
) -> wire.DeviceOutput:
    return wire.DeviceOutput(
        type=kind,
        stream_id=stream_id,
        device_id=device_id,
        state=wire.OutputState(disabled=int(not on)),
    )


class Collections:
    """What one visitor has been told, and what is new for it."""

    def __init__(self) -> None:
        self._users: dict[str, wire.User] = {}
        self._outputs: dict[tuple[str, wire.OutputType.ValueType], wire.DeviceOutput] = {}
        self._number = 0

    def changes(
        self, users: Iterable[wire.User], outputs: Iterable[wire.DeviceOutput]
    ) -> bytes | None:
        """The channel's next message, or ``None`` where nothing has changed."""
        now = {user.device_id: user for user in users}
        streams = {(output.device_id, output.type): output for output in outputs}
        changed = [user for key, user in now.items() if self._users.get(key) != user]
        for key, user in self._users.items():
            if key not in now and user.status == wire.USER_STATUS_IN_MEETING:
                gone = wire.User()
                gone.CopyFrom(user)
                gone.status = wire.USER_STATUS_NOT_IN_MEETING
                changed.append(gone)
        changed_streams = [
            output for key, output in streams.items() if self._outputs.get(key) != output
        ]
        for stream, output in self._outputs.items():
            if stream not in streams and not output.state.disabled:
                off = wire.DeviceOutput()
                off.CopyFrom(output)
                off.state.disabled = 1
                changed_streams.append(off)
        if not changed and not changed_streams:
            return None
        self._users.update({user.device_id: user for user in changed})
        self._outputs.update({(item.device_id, item.type): item for item in changed_streams})
        return self._message(changed, changed_streams)

    def removed(self, device_id: str) -> bytes:
        """Tell the visitor of this device that it has been removed from the meeting."""
        user = wire.User()
        user.CopyFrom(self._users[device_id])
        user.status = wire.USER_STATUS_REMOVED
        self._users[device_id] = user
        return self._message([user], [])

    def chat(self, message_id: str, device_id: str, text: str) -> bytes:
        """A chat message."""
        message = wire.ChatMessage(
            message_id=message_id,
            device_id=device_id,
            timestamp=int(time.time() * 1_000_000),
            body=wire.ChatBody(text=text),
        )
        space = wire.Space(chat=[wire.ChatEntry(message=message)])
        return _pack(wire.Update(space=space))

    def _message(self, users: list[wire.User], outputs: list[wire.DeviceOutput]) -> bytes:
        update = wire.Update()
        if users:
            self._number += 1
            update.space.user_list.event.number = self._number
            update.space.user_list.users.extend(users)
        if outputs:
            update.devices.outputs.extend(outputs)
        return _pack(update)


def _pack(update: wire.Update) -> bytes:
    event = wire.CollectionEvent(body=wire.EventBody(update=update))
    return zlib.compress(event.SerializeToString())


def sync_reply(users: Iterable[wire.User]) -> bytes:
    """The answer to ``SyncMeetingSpaceCollections``: everybody, base64."""
    user_list = wire.UserList(event=wire.EventInfo(number=1), users=users)
    reply = wire.SyncReply(body=wire.SyncBody(users=user_list))
    return base64.b64encode(reply.SerializeToString())


def caption_message(line: CaptionLine) -> bytes:
    """A version of a caption, as the channel ``captions`` carries it."""
    caption = wire.Caption(
        device_id=line.person.device_id,
        caption_id=line.caption_id,
        version=line.version,
        is_final=int(line.final),
        text=line.text,
        language_id=_ENGLISH,
    )
    return wire.CaptionEvent(caption=caption).SerializeToString()
