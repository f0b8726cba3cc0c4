"""Somebody leaves and comes back: one person, wherever people are told of."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Machine
from tests.e2e.conftest import Hold
from tests.e2e.customer import Customer
from tests.e2e.recordings import check_sound, diarization_error, segments, spoken

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
]

ADA, BEN = "Ada Martin", "Ben Okafor"
SAID = "We have to talk about the water of the river."


async def test_who_comes_back_is_one_person_and_two_of_one_name_are_two(
    customer: Customer, hold: Hold, machine: Machine, tmp_path: Path
) -> None:
    meeting = await hold(
        participants=[
            {"name": ADA},
            {"name": BEN, "id": "ben", "picture": "https://pictures.example/ben.png"},
            {"name": ADA, "id": "another Ada", "video": False},
        ],
        timeline=[
            {"at": 2, "do": "say", "who": "ben", "text": SAID},
            {"at": 6, "do": "leave", "who": "ben"},
            {"at": 7, "do": "say", "who": ADA, "text": "He has left, and will be back soon."},
            {"at": 11, "do": "join", "who": "ben"},
            {"at": 12, "do": "say", "who": "ben", "text": SAID},
            {"at": 16, "do": "say", "who": "another Ada", "text": "I have the same name as Ada."},
            {"at": 20, "do": "end"},
        ],
    )
    bot = await customer.send(meeting.url, transcription_enabled=True)
    details = await bot.over()
    assert details["status"] == "completed", details["error_message"]
    assert sorted(one["name"] for one in details["participants"]) == [ADA, ADA, BEN]
    assert sorted(one["name"] for one in details["speakers"]) == [ADA, ADA, BEN]
    assert len({one["id"] for one in details["participants"]}) == 3
    assert sorted(bot.last_word["participants"]) == [ADA, ADA, BEN]
    assert sorted(bot.last_word["speakers"]) == [ADA, ADA, BEN]

    files = await bot.artifacts(tmp_path)
    turns = spoken(meeting.truth, bot.when("in_call_recording"))
    rows = segments(files["diarization"])
    ids = {name: {one["user_id"] for one in rows if one["speaker"] == name} for name in (ADA, BEN)}
    assert (len(ids[ADA]), len(ids[BEN])) == (2, 1)
    whole = await asyncio.to_thread(check_sound, files["audio"], turns)
    assert diarization_error(files["diarization"], turns, seconds=whole) < 0.05

    # One file with all that Ben said, before and after.
    folder = machine.data_dir / "artifacts" / "bots" / bot.id / "participants"
    assert len(list(folder.iterdir())) == 3
    (number,) = (one["id"] for one in details["speakers"] if one["name"] == BEN)
    own = [one for one in turns if one.speaker == BEN]
    others = [one for one in turns if one.speaker != BEN]
    assert len(own) >= 2
    path = folder / f"{number}.flac"
    assert await asyncio.to_thread(check_sound, path, own, silent=others) == whole

    transcript = json.loads(files["transcription"].read_text())
    said = [one for one in transcript["result"]["utterances"] if one["speaker"] == BEN]
    assert min(one["start"] for one in said) < own[0].end
    assert max(one["end"] for one in said) > own[-1].start
