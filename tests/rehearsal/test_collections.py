import base64
import zlib

import pytest

from sitin.platforms.meet import wire_pb2 as wire
from sitin.rehearsal.cast import Cast
from sitin.rehearsal.errors import ControlError
from sitin.rehearsal.meet.collections import (
    Collections,
    caption_message,
    outputs_of,
    sync_reply,
    users_of,
    visitor_user,
)
from sitin.rehearsal.script import Script
from sitin.rehearsal.sound import CaptionLine
from sitin.rehearsal.truth import Ledger

pytestmark = pytest.mark.unit

SCRIPT = Script.model_validate(
    {
        "participants": [
            {"name": "Ada", "host": True, "picture": "https://pictures.test/ada"},
            {"name": "Ben", "video": False, "muted": True},
            {"name": "Chloé", "joins_at_start": False},
        ]
    }
)


class Room:
    def __init__(self) -> None:
        self.changed = 0
        self.ledger = Ledger("abc-defg-hij")
        self.cast = Cast(SCRIPT, self.ledger, on_change=self.note)
        self.told = Collections()

    def note(self) -> None:
        self.changed += 1

    def update(self) -> wire.Update | None:
        people = self.cast.people
        message = self.told.changes(users_of(people), outputs_of(people))
        return unpacked(message) if message is not None else None


def unpacked(message: bytes) -> wire.Update:
    return wire.CollectionEvent.FromString(zlib.decompress(message)).body.update


def test_first_everybody_is_told_of_and_then_nobody() -> None:
    room = Room()
    update = room.update()
    assert update is not None
    ada, ben = update.space.user_list.users
    assert (ada.full_name, ada.is_host, ada.picture) == ("Ada", 1, "https://pictures.test/ada")
    assert (ben.full_name, ben.status) == ("Ben", wire.USER_STATUS_IN_MEETING)
    voice, picture, muted = update.devices.outputs
    assert (voice.type, voice.stream_id) == (1, str(room.cast.person("Ada").source))
    assert (picture.type, picture.device_id) == (2, ada.device_id)
    assert (muted.device_id, muted.state.disabled) == (ben.device_id, 1)
    assert room.update() is None


def test_somebody_who_comes_is_the_only_news() -> None:
    room = Room()
    room.update()
    room.cast.join("Chloé")
    update = room.update()
    assert update is not None
    assert [user.full_name for user in update.space.user_list.users] == ["Chloé"]
    assert [output.type for output in update.devices.outputs] == [1, 2]


def test_somebody_who_leaves_is_told_of_once_more() -> None:
    room = Room()
    room.update()
    device = room.cast.person("Ada").device_id
    room.cast.leave("Ada")
    update = room.update()
    assert update is not None
    (user,) = update.space.user_list.users
    assert (user.device_id, user.status) == (device, wire.USER_STATUS_NOT_IN_MEETING)
    assert [output.state.disabled for output in update.devices.outputs] == [1, 1]
    assert room.update() is None


def test_who_comes_back_has_a_new_device_and_source() -> None:
    room = Room()
    before = room.cast.person("Ada").device_id, room.cast.person("Ada").source
    room.cast.leave("Ada")
    room.cast.join("Ada")
    after = room.cast.person("Ada").device_id, room.cast.person("Ada").source
    assert before[0] != after[0]
    assert before[1] != after[1]
    stays = [stay for stay in room.ledger.attendance.values() if stay.name == "Ada"]
    assert [stay.left_at is None for stay in stays] == [False, True]


def test_a_shared_screen_is_a_device_with_a_parent() -> None:
    room = Room()
    room.update()
    room.cast.present("Ada")
    update = room.update()
    assert update is not None
    (screen,) = update.space.user_list.users
    assert screen.parent_device_id == room.cast.person("Ada").device_id
    assert screen.device_id != screen.parent_device_id
    (output,) = update.devices.outputs
    assert (output.type, output.device_id) == (wire.OUTPUT_TYPE_VIDEO, screen.device_id)


def test_a_camera_that_goes_off_and_on_has_a_new_stream() -> None:
    room = Room()
    first = room.update()
    assert first is not None
    room.cast.set_camera("Ada", on=False)
    off = room.update()
    room.cast.set_camera("Ada", on=True)
    on = room.update()
    assert off is not None
    assert on is not None
    assert off.devices.outputs[0].state.disabled == 1
    assert on.devices.outputs[0].state.disabled == 0
    assert on.devices.outputs[0].stream_id != first.devices.outputs[1].stream_id


def test_a_removed_visitor_is_told_by_its_own_status() -> None:
    told = Collections()
    told.changes([visitor_user("d9", "Bot", is_self=True)], [])
    (user,) = unpacked(told.removed("d9")).space.user_list.users
    assert (user.status, user.HasField("self")) == (wire.USER_STATUS_REMOVED, True)


def test_only_the_receiver_is_marked_as_self() -> None:
    assert visitor_user("d", "Bot", is_self=True).HasField("self")
    assert not visitor_user("d", "Other", is_self=False).HasField("self")


def test_the_first_reply_is_base64_of_everybody() -> None:
    room = Room()
    reply = wire.SyncReply.FromString(base64.b64decode(sync_reply(users_of(room.cast.people))))
    assert [user.full_name for user in reply.body.users.users] == ["Ada", "Ben"]
    assert reply.body.users.event.number == 1


def test_chat_and_captions_carry_who_and_what() -> None:
    room = Room()
    (entry,) = unpacked(room.told.chat("m1", "d1", "hello")).space.chat
    assert (entry.message.device_id, entry.message.body.text) == ("d1", "hello")
    line = CaptionLine(room.cast.person("Ada"), 7, 2, "good morning", final=True)
    caption = wire.CaptionEvent.FromString(caption_message(line)).caption
    assert (caption.caption_id, caption.version, caption.is_final) == (7, 2, 1)
    assert caption.text == "good morning"


@pytest.mark.parametrize(
    ("control", "who", "says"),
    [
        ("join", "Ada", "is in the meeting already"),
        ("leave", "Chloé", "is not in the meeting now"),
        ("leave", "Eve", "nobody is called 'Eve'"),
        ("stop_presenting", "Ada", "does not present"),
    ],
)
def test_what_cannot_be_is_refused(control: str, who: str, says: str) -> None:
    room = Room()
    with pytest.raises(ControlError, match=says):
        getattr(room.cast, control)(who)
    assert room.changed == 0
