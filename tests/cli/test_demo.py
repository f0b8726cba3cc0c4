"""``sitin demo``, typed as a newcomer types it, and the report that it writes."""

import asyncio
import json
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import svix

from tests.cli.conftest import Machine
from tests.e2e.recordings import Spoken, check_sound, check_video, diarization_error
from tests.speech import synthetic_saying, write_flac, write_speech

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

WITHIN = 420
"""Seconds for forty seconds of meeting and its transcript, on whatever machine."""


@pytest.fixture
def demo_machine(machine: Machine) -> Machine:
    """A machine that may run a demo, whatever runs on it besides."""
    del machine.settings["SITIN_MAX_BOTS"]
    return machine


async def test_everything_arrives_and_the_report_tells_all_of_it(
    demo_machine: Machine, tmp_path: Path
) -> None:
    texts = write_speech(tmp_path / "speech")
    nobody = synthetic_saying("nobody", "not to be heard")
    write_flac(tmp_path / "speech" / "nobody-1.flac", nobody.samples)
    code, output, errors = await demo_machine.run(
        "demo",
        "--speech",
        str(tmp_path / "speech"),
        "--out",
        str(tmp_path / "out"),
        "--json",
        str(tmp_path / "report.json"),
        within=WITHIN,
    )
    assert code == 0, output + errors
    for title in ("Status history", "Who spoke how long", "Transcript (by ", "Artifacts in "):
        assert title in output
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report) == {"bot", "statuses", "requests", "artifacts", "truth"}
    _check_statuses(report)
    _check_requests(report)
    await asyncio.to_thread(_check_artifacts, report, texts)
    assert not demo_machine.data_dir.exists(), "nothing of the operator's is touched"


def _check_statuses(report: dict[str, Any]) -> None:
    assert report["bot"]["status"] == "completed"
    assert all(set(one) == {"code", "created_at"} for one in report["statuses"])
    codes = [one["code"] for one in report["statuses"]]
    assert codes[:2] == ["queued", "joining_call"]
    assert codes[-4:] == ["call_ended", "recording_succeeded", "transcribing", "completed"]
    times = [datetime.fromisoformat(one["created_at"]) for one in report["statuses"]]
    assert times == sorted(times)


def _check_requests(report: dict[str, Any]) -> None:
    events: list[str] = []
    for one in report["requests"]:
        assert set(one) == {"headers", "body", "secret"}
        if "svix-id" in one["headers"]:
            svix.Webhook(one["secret"]).verify(one["body"], one["headers"])
            events.append(json.loads(one["body"])["event"])
        else:
            assert one["headers"]["x-mb-secret"] == one["secret"]
            events.append("callback")
    assert events.count("bot.completed") == events.count("callback") == 1
    assert events.count("bot.status_change") == len(report["statuses"])


def _check_artifacts(report: dict[str, Any], texts: dict[str, str]) -> None:
    participants = [Path(one) for one in report["artifacts"]["participants"]]
    paths = {
        name: Path(value) for name, value in report["artifacts"].items() if name != "participants"
    }
    assert set(paths) == {"video", "audio", "diarization", "transcription", "raw_transcription"}
    assert all(one.is_absolute() for one in (*paths.values(), *participants))
    assert all(set(one) == {"speaker", "start", "end", "text"} for one in report["truth"])
    assert {one["text"] for one in report["truth"]} <= set(texts.values())
    turns = [Spoken(one["speaker"], one["start"], one["end"]) for one in report["truth"]]
    speakers = {one.speaker for one in turns}
    assert speakers == {name.partition(".")[0].partition("-")[0] for name in texts}
    seconds = check_sound(paths["audio"], turns)
    assert turns[-1].end > 36, "the recordings repeat until forty seconds are filled"
    assert diarization_error(paths["diarization"], turns, seconds=seconds) < 0.05
    check_video(paths["video"])
    assert len(participants) == len(speakers)
    for path in participants:
        check_sound(path, [])
    utterances = json.loads(paths["transcription"].read_text())["result"]["utterances"]
    assert {one["speaker"] for one in utterances} == speakers


@pytest.mark.parametrize(
    ("browser", "says"),
    [
        (
            "/no/such/browser",
            (
                "/no/such/browser cannot be run (No such file or directory): install Chromium, "
                "or set SITIN_BROWSER_PATH to one."
            ),
        ),
        (
            "/bin/true",
            "The bot recorded nothing: The browser /bin/true did not start on this machine.",
        ),
    ],
)
async def test_without_a_browser_it_fails_with_one_sentence(
    demo_machine: Machine, tmp_path: Path, browser: str, says: str
) -> None:
    report = tmp_path / "report.json"
    code, _, errors = await demo_machine.run(
        "demo",
        "--json",
        str(report),
        "--out",
        str(tmp_path / "out"),
        within=WITHIN,
        SITIN_BROWSER_PATH=browser,
    )
    assert code == 1
    assert errors == f"{says}\n"
    assert not report.exists()
    assert not (tmp_path / "out").exists(), "nothing half-written"


async def test_where_its_results_cannot_be_kept_it_does_not_begin(
    demo_machine: Machine, tmp_path: Path
) -> None:
    code, output, errors = await demo_machine.run("demo", "--json", str(tmp_path / "no" / "report"))
    assert (code, output) == (1, "")
    assert errors.startswith(f"Nothing can be written into {tmp_path / 'no'}: ")
    assert errors.count("\n") == 1


def places(directory: Path) -> list[Path]:
    """The demo's data directory, and where its database lives."""
    return [
        place
        for data_dir in directory.glob("sitin-demo-*")
        for place in (data_dir, (data_dir / "postgres").resolve())
    ]


async def test_told_to_end_it_leaves_nothing_behind(demo_machine: Machine, tmp_path: Path) -> None:
    process = await demo_machine.start("demo", TMPDIR=str(tmp_path))
    assert process.stdout is not None
    shown = b""
    async with asyncio.timeout(90):
        while b"answered with bot" not in shown:
            piece = await process.stdout.read(1000)
            assert piece, "the demo ended before it was told to"
            shown += piece
    made = places(tmp_path)
    assert len(made) == 2
    process.terminate()
    async with asyncio.timeout(60):
        await process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert [one for one in made if one.exists()] == []
