"""The usual way to record a meeting, for comparison: a browser on an X server, its sound through a
sound server, both taken by ffmpeg.

What is free to choose is chosen as it is cheapest for it: the layout in which who speaks fills the
window, so that the same is recorded as by ``speaker_view``; and the encoder of sitin's own with the
same settings (a file of 720p by x264 ``veryfast``, ffmpeg's usual choice, takes 3 to 10 CPU-seconds
a minute more). The browser is the full Chromium, as a headless one draws on no screen.
"""

import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from bench.tree import Tree, Usage
from sitin.rehearsal import Rehearsal, Script
from sitin.rehearsal.marks import read_mark


@dataclass(frozen=True)
class Usual:
    """What it cost, and how much of what was sent it recorded."""

    recording: Usage
    peak_pss: int
    """Bytes."""
    frames: float
    """Different frames recorded of those that were sent meanwhile."""


async def measure(script: Script) -> Usual:
    """Hold the meeting and record it the usual way."""
    with tempfile.TemporaryDirectory(prefix="sitin-usual-") as directory:
        async with Rehearsal(script) as meeting:
            await meeting.pictures_ready()
            order = {
                "directory": directory,
                "url": meeting.url,
                "rules": meeting.browser_host_rules,
                "args": meeting.browser_args,
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bench.usual_bot",
                json.dumps(order),
                stdout=asyncio.subprocess.PIPE,
            )
            tree = Tree(process.pid)
            assert process.stdout is not None
            told = json.loads(await process.stdout.readline())
            usage = tree.measure()
            assert json.loads(await process.stdout.readline()) == "over"
            used = usage()
            await process.wait()
            tree.close()
        frames = _frames(Path(directory) / "output.mp4", told["picture"])
        return Usual(used, tree.peak_pss, frames)


def _frames(video: Path, box: dict[str, float]) -> float:
    """Read the marks in the part of the window where the speaker's picture is."""
    left, top = round(box["left"]), round(box["top"])
    right, bottom = round(box["left"] + box["width"]), round(box["top"] + box["height"])
    with av.open(str(video)) as container:
        planes = (
            np.asarray(frame.to_ndarray()[top:bottom, left:right], np.uint8)
            for frame in container.decode(video=0)
        )
        numbers = {mark.frame for plane in planes if (mark := read_mark(plane)) is not None}
    return len(numbers) / (max(numbers) - min(numbers) + 1)
