"""What the demo makes of the webhooks it has received."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest

from sitin.cli.demo.outcome import Outcome
from sitin.cli.demo.receiver import Received, Receiver
from sitin.rehearsal import Truth
from sitin.rehearsal.truth import Attendance, Turn
from sitin.runner.assemble import assemble
from sitin.runner.capture.strategy import Kind
from tests.runner.capture.meeting import ADA, Held, Page, seen

pytestmark = pytest.mark.unit


def change(code: str, at: str) -> Received:
    data = {"status": {"code": code, "created_at": at}}
    body = json.dumps({"event": "bot.status_change", "data": data})
    return Received(headers={"svix-id": code}, body=body, secret="")


def silent(now: datetime) -> Truth:
    return Truth(
        code="abc-defg-hij",
        opened_at=now,
        clock_started_at=None,
        ended_at=None,
        turns=(),
        attendance=(),
        visits=(),
        video=(),
    )


def test_changes_of_one_moment_keep_their_order_however_they_arrive() -> None:
    receiver = Receiver("http://127.0.0.1:1")
    receiver.received = [
        change("completed", "2026-01-01T00:00:03.000Z"),
        change("transcribing", "2026-01-01T00:00:02.000Z"),
        change("recording_succeeded", "2026-01-01T00:00:02.000Z"),
        change("queued", "2026-01-01T00:00:01.000Z"),
    ]
    now = datetime.now(UTC)
    outcome = Outcome({}, receiver, {}, [], silent(now), now)
    assert [one["code"] for one in outcome.statuses] == [
        "queued",
        "recording_succeeded",
        "transcribing",
        "completed",
    ]


def test_a_report_names_where_the_files_are() -> None:
    receiver = Receiver("http://127.0.0.1:1")
    now = datetime.now(UTC)
    report = Outcome({}, receiver, {"video": Path("/a/output.mp4")}, [], silent(now), now).report()
    assert report["artifacts"] == {"video": "/a/output.mp4", "participants": []}


def whole(directory: Path) -> Outcome:
    """Everything of a bot that heard Ada for two seconds."""
    now = datetime.now(UTC)
    said = {
        "video": directory / "output.mp4",
        "audio": directory / "output.flac",
        "diarization": directory / "diarization.jsonl",
        "raw_transcription": directory / "raw_transcription.json",
        "transcription": directory / "output_transcription.json",
    }
    held = Held(directory / "capture", Kind.TAB, page := Page())
    page.record_tab(2)
    held.run(2.0)
    held.finish()
    assert assemble(held.directory, seen(ADA), complete=True) is not None
    shutil.copy(held.directory / "output.mp4", said["video"])
    shutil.copy(held.directory / "output.flac", said["audio"])
    said["diarization"].write_text('{"speaker": "Ada", "start_time": 0, "end_time": 2}\n')
    said["raw_transcription"].write_text("[{}]")
    utterance = {"speaker": "Ada", "text": "Good morning.", "start": 0, "end": 2}
    said["transcription"].write_text(json.dumps({"result": {"utterances": [utterance]}}))
    bot = {"bot_id": "1", "status": "completed", "error_message": None, "duration_seconds": 2}
    receiver = Receiver("http://127.0.0.1:1")
    completed = json.dumps({"event": "bot.completed", "data": {"bot_id": "1"}})
    receiver.received = [
        change("in_call_recording", "2026-01-01T00:00:01.000Z"),
        Received({"svix-id": "2"}, completed, ""),
        Received({}, completed, ""),
    ]
    truth = silent(now).model_copy(
        update={
            "turns": (
                Turn(
                    participant="1",
                    speaker="Ada",
                    text="Good morning.",
                    start=now,
                    end=now,
                    complete=True,
                ),
            ),
            "attendance": (Attendance(participant="1", name="Ada", device_id=ADA, joined_at=now),),
        }
    )
    return Outcome(bot, receiver, said, [said["audio"]], truth, now)


def test_what_is_whole_has_no_problems(tmp_path: Path) -> None:
    assert whole(tmp_path).problems() == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def at_the_end(path: Path) -> None:
    """Move what a player has to know behind the pictures."""
    with av.open(str(path)) as source, av.open(str(path.with_suffix(".new.mp4")), "w") as target:
        streams = {one: target.add_stream_from_template(one) for one in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                target.mux(packet)
    path.with_suffix(".new.mp4").replace(path)


@pytest.mark.parametrize(
    ("artifact", "spoil", "says"),
    [
        ("video", cut, "The video is no MP4"),
        ("video", at_the_end, "The video is no MP4"),
        ("audio", cut, "The audio is no FLAC"),
        ("raw_transcription", cut, "The raw transcription is no JSON."),
    ],
)
def test_a_file_that_is_not_valid_is_a_problem(
    tmp_path: Path, artifact: str, spoil: Callable[[Path], None], says: str
) -> None:
    outcome = whole(tmp_path)
    spoil(outcome.files[artifact])
    assert [one for one in outcome.problems() if one.startswith(says)]


def test_what_did_not_arrive_is_a_problem(tmp_path: Path) -> None:
    outcome = whole(tmp_path)
    outcome.participants.clear()
    failed = json.dumps({"event": "bot.failed", "data": {"bot_id": "1"}})
    outcome.receiver.received[-1] = Received({}, failed, "")
    assert outcome.problems() == [
        "The callback did not tell once that the bot has completed.",
        "Not everybody who spoke has a FLAC of their own that plays.",
    ]
