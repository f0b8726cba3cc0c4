"""What each way of recording costs, and how good the recording is: one bot at a time.

CPU is that of the bot's own process tree while it records; the rehearsal's side is not counted.
"""

import asyncio

from bench import ours, quality, usual
from bench.meeting import script, spoken
from bench.row import Row
from sitin.contract.recording import ArtifactKind
from sitin.rehearsal import Script
from sitin.rehearsal.sync import sync_offsets

_SHORT = 30.0
"""Seconds of the meetings whose figures are only told."""
_CPU = "CPU-s per recorded minute"


async def cost(seconds: float) -> list[Row]:
    """CPU and memory of each way of recording, beside the usual way."""
    before = await usual.measure(script(seconds))
    rows = [
        Row(f"the usual way: {_CPU}", before.recording.per_minute, "s", note="same encoder"),
        Row("the usual way: frames recorded / frames sent", 100 * before.frames, "%"),
        Row("the usual way: peak PSS", before.peak_pss / 1e6, "MB"),
    ]
    async with ours.recordings() as directory:
        live = await ours.record(ours.LIVE, script(seconds), directory)
        share = live.recording.per_minute / before.recording.per_minute
        rows += [
            Row(f"speaker_view: {_CPU}", live.recording.per_minute, "s", 20),
            Row("speaker_view: share of the usual way", share, "", 0.55),
            *_pictures(live),
        ]
        dense = await ours.record(ours.DENSE, script(seconds), directory)
        composing = dense.after.cpu_seconds * 60 / dense.made.duration
        rows += [
            Row(f"speaker_view, dense: live {_CPU}", dense.recording.per_minute, "s", 14),
            Row(f"speaker_view, dense: composing {_CPU}", composing, "s", 10),
        ]
        audio = await ours.record(ours.AUDIO, script(seconds), directory)
        rows += [
            Row(f"audio_only: {_CPU}", audio.recording.per_minute, "s", 8),
            Row("speaker_view: peak PSS per bot", live.peak_pss / 1e6, "MB", 500),
            Row("speaker_view, dense: peak PSS per bot", dense.peak_pss / 1e6, "MB", 500),
            Row("audio_only: peak PSS per bot", audio.peak_pss / 1e6, "MB", 400),
            Row("speaker_view: CPU-s before it records", live.start, "s"),
        ]
    return rows


async def variants(seconds: float) -> list[Row]:
    """The default kind of bot in other meetings and in the full Chromium, without goals."""
    length = min(seconds, _SHORT)
    full = ours.Kind("speaker_view, full Chromium", ours.LIVE.mode, lean=False)
    meetings: dict[str, tuple[ours.Kind, Script]] = {
        "full Chromium": (full, script(length)),
        "a camera's noise": (ours.LIVE, script(length, video={"grain": True})),
        "H.264 passed through": (ours.LIVE, script(length, video={"codec": "h264"})),
        "three, one presents": (ours.LIVE, script(length, people=3, presenting=True)),
    }
    rows = []
    async with ours.recordings() as directory:
        for what, (kind, meeting) in meetings.items():
            result = await ours.record(kind, meeting, directory)
            cpu, pss = result.recording.per_minute, result.peak_pss / 1e6
            frames = 100 * quality.pictures(result.video).share
            note = f"peak PSS {pss:.0f} MB, {frames:.1f} % of the frames"
            rows.append(Row(f"speaker_view, {what}: {_CPU}", cpu, "s", note=note))
    return rows


def _pictures(result: ours.Result) -> list[Row]:
    found = quality.pictures(result.video)
    return [
        Row("frames recorded / frames sent", 100 * found.share, "%", 98, at_least=True),
        Row("longest gap between frames", 1000 * found.longest_gap, "ms", 200),
    ]


def _sync(what: str, result: ours.Result) -> Row:
    late = sync_offsets(result.video)
    note = f"the worst of {len(late)} sync marks"
    return Row(what, 1000 * max(abs(one) for one in late), "ms", 80, note=note)


async def attribution(seconds: float) -> list[Row]:
    """Whose words they are, and how sound and picture keep together; two bots at once, then one."""
    meeting, voices = await spoken()
    marked = script(min(seconds, _SHORT), video={"sync_marks": True})
    async with ours.recordings() as directory:
        heard, seen = await asyncio.gather(
            ours.record(ours.AUDIO, meeting, directory),
            ours.record(ours.LIVE, marked, directory),
        )
        diarization = heard.file(ArtifactKind.DIARIZATION)
        assert diarization is not None
        error = quality.diarization_error(heard.made, diarization, heard.truth)
        alone = script(min(seconds, _SHORT), people=1, video={"sync_marks": True})
        tab = await ours.record(ours.GALLERY, alone, directory)
        what = "speaker attribution: diarization error rate"
        return [
            Row(what, 100 * error, "%", 5, note=f"collar 0.25 s, {voices}"),
            _sync("picture against sound", seen),
            _sync("gallery_view: picture against sound", tab),
        ]
