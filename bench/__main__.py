"""``make bench``: measures, prints one table, writes it as JSON.

CPU is that of the bot's own process tree while it records, per recorded minute; the rehearsal's
side is not counted. Machines are noisy: the usual way is measured in the same run, and the ratio
counts.
"""

import argparse
import asyncio
import json
import platform
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench import api, ours, quality, scheduling, service, usual, webhooks
from bench.meeting import script, spoken
from bench.row import Row
from sitin.contract.recording import ArtifactKind


async def _capture(seconds: float) -> list[Row]:
    """CPU and memory of each way of recording, beside the usual way."""
    rows: list[Row] = []
    the_usual, usual_pss = await usual.measure(script(seconds))
    rows += [
        Row("usual way: CPU-s per recorded minute", the_usual.per_minute, "s"),
        Row("usual way: peak PSS", usual_pss / 1e6, "MB"),
    ]
    async with ours.recordings() as directory:
        live = await ours.record(ours.LIVE, script(seconds), directory)
        ratio = live.recording.per_minute / the_usual.per_minute
        rows += [
            Row("speaker_view: CPU-s per recorded minute", live.recording.per_minute, "s", 20),
            Row("speaker_view: share of the usual way", ratio, "", 0.55),
            Row("speaker_view: peak PSS", live.peak_pss / 1e6, "MB", 500),
            Row("speaker_view: CPU-s before it records", live.start, "s"),
        ]
        rows += _pictures(live)
        dense = await ours.record(ours.DENSE, script(seconds), directory)
        composing = dense.after.cpu_seconds * 60 / dense.made.duration
        rows += [
            Row("dense: live CPU-s per recorded minute", dense.recording.per_minute, "s", 14),
            Row("dense: composing CPU-s per recorded minute", composing, "s", 10),
            Row("dense: peak PSS", dense.peak_pss / 1e6, "MB", 500),
        ]
        audio = await ours.record(ours.AUDIO, script(seconds), directory)
        rows += [
            Row("audio_only: CPU-s per recorded minute", audio.recording.per_minute, "s", 8),
            Row("audio_only: peak PSS", audio.peak_pss / 1e6, "MB", 400),
        ]
        full = ours.Kind("speaker_view, full Chromium", ours.LIVE.mode, lean=False)
        result = await ours.record(full, script(seconds), directory)
        note = "without chromium-headless-shell"
        rows.append(Row("speaker_view: peak PSS", result.peak_pss / 1e6, "MB", note=note))
        grain = await ours.record(ours.LIVE, script(seconds, video={"grain": True}), directory)
        note = "pictures with a camera's noise"
        rows.append(
            Row(
                "speaker_view: CPU-s per recorded minute",
                grain.recording.per_minute,
                "s",
                note=note,
            )
        )
    return rows


def _pictures(result: ours.Result) -> list[Row]:
    video = result.file(ArtifactKind.VIDEO)
    assert video is not None
    found = quality.pictures(video)
    return [
        Row("frames recorded of those sent", 100 * found.share, "%", 98, at_least=True),
        Row("longest gap between frames", 1000 * found.longest_gap, "ms", 200),
    ]


async def _speakers(seconds: float) -> list[Row]:
    """Attribution of speech to speakers, and how sound and picture keep together."""
    async with ours.recordings() as directory:
        meeting, voices = await spoken()
        result = await ours.record(ours.AUDIO, meeting, directory)
        diarization = result.file(ArtifactKind.DIARIZATION)
        assert diarization is not None
        error = quality.diarization_error(result.made, diarization, result.truth)
        marked = await ours.record(
            ours.LIVE, script(min(seconds, 30), video={"sync_marks": True}), directory
        )
        video = marked.file(ArtifactKind.VIDEO)
        assert video is not None
        late = quality.sync(video)
        assert late is not None, "no sync mark was found"
        return [
            Row("diarization error rate, collar 0.25 s", 100 * error, "%", 5, note=voices),
            Row("picture against sound", 1000 * abs(late), "ms", 80, note="median of sync marks"),
        ]


async def _service(seconds: float) -> list[Row]:
    """The whole service, from request to webhook."""
    return [
        Row("POST to in_call_recording", await service.in_call_after(), "s", 4),
        Row(
            f"meeting's end to bot.completed, {seconds:g} s",
            await service.completed_after(seconds),
            "s",
            5,
        ),
        Row(
            "meeting's end to bot.completed, 1 h",
            await service.completed_after_an_hour(),
            "s",
            5,
            note="files written in advance",
        ),
    ]


async def _api(_seconds: float) -> list[Row]:
    """Creating bots, and lists of them at three sizes."""
    return [*await api.creating(), *await api.listing()]


async def _scheduling(_seconds: float) -> list[Row]:
    """From the time of a scheduled bot until it is queued, when many have the same time."""
    return await scheduling.queueing()


async def _webhooks(_seconds: float) -> list[Row]:
    """Messages to many endpoints, some of which hang or refuse."""
    found = await webhooks.measure()
    what = (
        f"{webhooks.MESSAGES:,} at {webhooks.PER_SECOND}/s to {webhooks.ENDPOINTS} endpoints, "
        f"{webhooks.HANGING} hang, {webhooks.REFUSING} refuse"
    )
    behind = f"publications behind by {found.published_late:.2f} s at most"
    return [
        Row("webhooks: p50 to healthy endpoints", found.percentile(50), "s", note=what),
        Row("webhooks: p99 to healthy endpoints", found.percentile(99), "s", 2, note=behind),
        Row("webhooks: arrived at healthy endpoints", found.per_second, "/s"),
        Row(
            "webhooks: worker's CPU-s per 1,000 attempts",
            found.per_thousand(found.worker),
            "s",
            note=f"{found.attempts:,} attempts",
        ),
        Row(
            "webhooks: Postgres' CPU-s per 1,000 attempts",
            found.per_thousand(found.postgres),
            "s",
            note="publishing included",
        ),
        Row("webhooks: worker's PSS before", found.pss_before / 1e6, "MB"),
        Row("webhooks: worker's peak PSS", found.pss_peak / 1e6, "MB"),
        Row("webhooks: worker's PSS after", found.pss_after / 1e6, "MB"),
    ]


PARTS: dict[str, Callable[[float], Awaitable[list[Row]]]] = {
    "capture": _capture,
    "speakers": _speakers,
    "service": _service,
    "api": _api,
    "scheduling": _scheduling,
    "webhooks": _webhooks,
}


async def _measure(parts: list[str], seconds: float) -> list[Row]:
    rows = []
    for part in parts:
        rows += await PARTS[part](seconds)
    return rows


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; or all")
    parser.add_argument("--seconds", type=float, default=60, help="length of a meeting")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"there is no part {unknown.pop()!r}; the parts are {', '.join(PARTS)}")
    rows = asyncio.run(_measure(arguments.parts or list(PARTS), arguments.seconds))
    machine = (
        f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
    table = Table(title=f"{arguments.seconds:g} s meetings on {machine}")
    for column in ("figure", "measured", "to reach", "", "note"):
        table.add_column(column, justify="right" if column in ("measured", "to reach") else "left")
    for row in rows:
        goal = "" if row.to_reach is None else f"{'≥' if row.at_least else '≤'} {row.to_reach:g}"
        mark = {True: "reached", False: "missed", None: ""}[row.reached]
        table.add_row(row.what, f"{row.measured:.2f} {row.unit}", goal, mark, row.note)
    Console(width=140).print(table)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "machine": machine,
        "seconds": arguments.seconds,
        "rows": [asdict(row) | {"reached": row.reached} for row in rows],
    }
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
