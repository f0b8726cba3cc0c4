"""One bot of sitin's in a rehearsal, without the service around it."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.tree import Tree, Usage
from sitin.contract.codes import BotStatus, Platform, RecordingMode
from sitin.contract.events import Ended, StatusReached
from sitin.contract.recording import ArtifactKind, Recording
from sitin.contract.spec import BotSpec, BrowserSpec, Timeouts
from sitin.kit.ids import new_id
from sitin.rehearsal import Meeting, Rehearsal, Script, Truth
from sitin.runner import bot_process
from sitin.runner.places import Place
from sitin.runner.supervisor import Supervisor

FULL, LEAN = "/usr/bin/chromium", "/usr/bin/chromium-headless-shell"


@dataclass(frozen=True)
class Kind:
    """One way for a bot to record."""

    name: str
    mode: RecordingMode
    video: Literal["live", "dense"] = "live"
    lean: bool = True


LIVE = Kind("speaker_view", RecordingMode.SPEAKER_VIEW)
DENSE = Kind("speaker_view, dense", RecordingMode.SPEAKER_VIEW, "dense")
AUDIO = Kind("audio_only", RecordingMode.AUDIO_ONLY)
GALLERY = Kind("gallery_view (tab)", RecordingMode.GALLERY_VIEW)


@dataclass(frozen=True)
class Result:
    """What one bot cost and what it made."""

    start: float
    """CPU-seconds from its process's start until it records."""
    recording: Usage
    after: Usage
    """From the end of the call to its last event: what composing costs."""
    peak_pss: int
    made: Recording
    files: Path
    truth: Truth

    def file(self, kind: ArtifactKind) -> Path | None:
        """The file of this kind."""
        found = [one for one in self.made.files if one.kind is kind]
        return self.files / found[0].path if found else None

    @property
    def video(self) -> Path:
        """The video, which there has to be."""
        video = self.file(ArtifactKind.VIDEO)
        assert video is not None
        return video


@asynccontextmanager
async def recordings() -> AsyncIterator[Path]:
    """A directory for recordings that every user can pass through; deleted at the end."""
    directory = Path(tempfile.mkdtemp(prefix="sitin-bench-", dir="/var/tmp"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def order(kind: Kind, meeting: Meeting) -> BotSpec:
    """What a bot is told that is to record a rehearsal."""
    return BotSpec(
        bot_id=new_id(),
        fencing_token=1,
        bot_name="Bench",
        platform=Platform.MEET,
        meeting_url=meeting.url,
        recording_mode=kind.mode,
        video=kind.video,
        timeouts=Timeouts(waiting_room=120, no_one_joined=120, silence=300, recording=14_400),
        browser=BrowserSpec(
            path=FULL,
            lean_path=LEAN if kind.lean and Path(LEAN).exists() else None,
            host_rules=meeting.browser_host_rules,
            args=meeting.browser_args,
        ),
    )


async def record(kind: Kind, script: Script, directory: Path) -> Result:
    """Hold the meeting, send one bot, wait for its end."""
    async with Rehearsal(script) as meeting:
        await meeting.pictures_ready()
        bot = await Supervisor(directory, memory_cap=4 << 30).launch(order(kind, meeting))
        tree = Tree(bot.pid)
        start, recording, after = 0.0, None, None
        recorded = Usage(0.0, 0.0)
        async for event in bot.events(after=0):
            match event.body:
                case StatusReached(status=BotStatus.IN_CALL_RECORDING):
                    start, recording = tree.cpu(), tree.measure()
                case StatusReached(status=BotStatus.CALL_ENDED) if recording is not None:
                    recorded, after = recording(), tree.measure()
                case Ended(recording=made):
                    assert made is not None, event.body
                    assert after is not None
                    composed = after()
                    tree.close()
                    await bot_process.forget(Place(bot.directory.parent).identity, bot.spec)
                    return Result(
                        start, recorded, composed, tree.peak_pss, made, bot.directory, meeting.truth
                    )
    raise AssertionError("the bot ended without its last event")
