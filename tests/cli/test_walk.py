"""``sitin doctor MEETING_URL``, typed as an operator types it, against a rehearsal."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import av
import pytest

from sitin.cli.doctor.evidence import Evidence
from sitin.cli.doctor.walk import planned
from sitin.cli.doctor.witness import step_of
from sitin.kit.errors import OperatorError
from sitin.rehearsal import Meeting, RehearsalServer, Script
from tests.cli.conftest import SECONDS, Machine

_SMALL = {"resolution": [{"at": 0, "height": 180}], "fps": 10}

Hold = Callable[..., Awaitable[Meeting]]


def sizes(names: list[str]) -> list[int]:
    return [Path(name).stat().st_size for name in names]


@pytest.fixture
async def hold(machine: Machine, tmp_path: Path) -> AsyncIterator[Hold]:
    """Hold a meeting to which the machine's browsers are led."""
    async with RehearsalServer(cache_directory=tmp_path / "film") as server:

        async def hold_one(**script: Any) -> Meeting:
            people = [{"name": "Ada Martin"}, {"name": "Ben Okafor"}]
            meeting = await server.hold(
                Script.model_validate({"participants": people, "video": _SMALL, **script})
            )
            machine.settings |= {
                "SITIN_BROWSER_HOST_RULES": meeting.browser_host_rules,
                "SITIN_BROWSER_ARGS": " ".join(meeting.browser_args),
                "SITIN_ALLOW_PRIVATE_ADDRESSES": "true",
            }
            return meeting

        yield hold_one


@pytest.mark.e2e
async def test_a_meeting_is_walked_step_by_step(
    machine: Machine, hold: Hold, tmp_path: Path
) -> None:
    meeting = await hold(
        timeline=[{"at": 1, "do": "say", "who": "Ada Martin", "text": "Good morning to you all."}]
    )
    await meeting.pictures_ready()
    code, output, errors = await machine.run(
        "doctor", meeting.url, "--record", "6", "--out", str(tmp_path / "out")
    )
    assert code == 0, output + errors
    *steps, kept, sentence = output.splitlines()
    told = [line[11:].split("  ")[0] for line in steps]
    people = [one for one in told if one == "somebody"]
    assert [one for one in told if one not in ("somebody", "waiting")] == [
        "address",
        "browser",
        "isolation",
        "started",
        "page opened",
        "form seen",
        "name given",
        "asked to join",
        "admitted",
        "tracks",
        "sound",
        "left",
        "recorded",
    ]
    assert len(people) == 2
    times = [float(line[:7]) for line in steps]
    assert times == sorted(times)
    assert "heard: Ada Martin" in steps[-1]
    assert sentence == "A bot gets into this meeting and records it."
    visit = await meeting.left()
    assert (visit.name, visit.outcome) == ("sitin doctor", "left")
    directory = Path(kept.removeprefix("Kept in "))
    with av.open(str(directory / "output.mp4")) as container:
        assert {stream.codec_context.name for stream in container.streams} == {"h264", "aac"}
    assert (directory / "runner.log").stat().st_size > 0
    assert list((machine.data_dir / "recordings").iterdir()) == []


@pytest.mark.e2e
async def test_being_refused_is_told_and_kept(machine: Machine, hold: Hold, tmp_path: Path) -> None:
    meeting = await hold(admission={"answer": "deny", "after": 0.2})
    code, output, errors = await machine.run(
        "doctor", meeting.url, "--json", "--out", str(tmp_path / "out")
    )
    assert code == 1
    told = json.loads(output)
    assert told["code"] == "BOT_NOT_ACCEPTED"
    assert told["well"] is False
    steps = [one["step"] for one in told["steps"]]
    assert steps[-1] != "admitted"
    assert "asked to join" in steps
    assert errors == told["sentence"] + "\n"
    assert "refused the bot's request" in told["sentence"]
    assert (Path(told["directory"]) / "runner.log").exists()
    assert list((machine.data_dir / "recordings").iterdir()) == []


@pytest.mark.e2e
async def test_nobody_lets_it_in(machine: Machine, hold: Hold, tmp_path: Path) -> None:
    meeting = await hold(admission={"answer": "wait"})
    code, output, errors = await machine.run(
        "doctor", meeting.url, "--wait", "2", "--out", str(tmp_path / "out")
    )
    assert code == 1
    assert "waiting" in output
    assert "TIMEOUT_WAITING_TO_START" in errors
    assert errors.count("\n") == 1


@pytest.mark.e2e
async def test_what_nobody_expected_is_kept(machine: Machine, tmp_path: Path) -> None:
    code, output, errors = await machine.run(
        "doctor",
        "https://meet.google.com/abc-defg-hij",
        "--json",
        "--out",
        str(tmp_path / "out"),
        SITIN_BROWSER_HOST_RULES="MAP meet.google.com 127.0.0.1:1",
    )
    assert code == 1
    told = json.loads(output)
    assert told["code"] == "CANNOT_JOIN_MEETING", errors
    (unexpected,) = told["unexpected"]
    assert [name.rpartition(".")[2] for name in unexpected["files"]] == ["png", "html"]
    assert all(sizes(unexpected["files"]))


@pytest.mark.e2e
async def test_an_interrupted_doctor_leaves_nobody_in_the_meeting(
    machine: Machine, hold: Hold, tmp_path: Path
) -> None:
    meeting = await hold()
    process = await machine.start(
        "doctor", meeting.url, "--record", "600", "--out", str(tmp_path / "out")
    )
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        while b"  tracks  " not in (line := await process.stdout.readline()):
            assert line, "the doctor ended before the bot was in the call"
        process.send_signal(signal.SIGINT)
        assert (await meeting.left()).outcome == "left"
        await process.communicate()
    assert process.returncode != 0
    assert list((machine.data_dir / "recordings").iterdir()) == []


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("https://example.com/abc", "is no meeting's address"),
        ("meet", "is no meeting's address"),
        ("https://zoom.us/j/1234567890", "is a Zoom meeting, and .* Google Meet only"),
    ],
)
def test_an_address_that_cannot_be_visited_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(OperatorError, match=says) as raised:
        planned(text, record=1, wait=1, out=Path("out"))
    assert "\n" not in raised.value.message


@pytest.mark.unit
def test_the_log_is_read_as_text_and_no_more() -> None:
    at = "2026-01-01T00:00:00Z"
    step = step_of(
        f'{{"event":"step","step":"name given","level":"info","timestamp":"{at}"}}'.encode()
    )
    assert step is not None
    assert (step.what, step.at.isoformat()) == ("name given", "2026-01-01T00:00:00+00:00")
    trouble = step_of(f'{{"event":"odd","why":"x","level":"error","timestamp":"{at}"}}'.encode())
    assert trouble is not None
    assert (trouble.what, trouble.told) == ("warning", "odd: x")
    for line in (
        b"Traceback (most recent call last):",
        b'["event", "step"]',
        b'{"event": "step", "step": "a step of nobody\'s", "level": "info", "timestamp": "now"}',
        f'{{"event":"quiet","level":"info","timestamp":"{at}"}}'.encode(),
        b"\xff\xfe",
    ):
        assert step_of(line) is None


@pytest.mark.unit
def test_what_is_missing_in_a_recording_is_said() -> None:
    good = Evidence(seconds=10, pictures=250, size="1280×720", heard=("Ada",), complete=True)
    assert good.whole
    assert good.reservation == ""
    cards = Evidence(seconds=10, pictures=11, size="1280×720", heard=(), complete=True)
    assert cards.whole
    assert cards.reservation == ", but nobody was heard and no moving pictures came"
    cut = Evidence(seconds=10, pictures=250, size="1280×720", heard=("Ada",), complete=False)
    assert not cut.whole
