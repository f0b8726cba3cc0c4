"""The usual way to record a meeting, for comparison: a browser on an X server, its sound through a
sound server, both taken by ffmpeg. Run as a process of its own: ``python -m bench.usual ORDER``.

The browser is the same Chromium and joins by the same adapter; nothing of sitin's capture is in it.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from bench.ours import FULL
from bench.tree import Tree, Usage
from sitin.contract.codes import RecordingMode
from sitin.contract.meeting import Admitted, Over
from sitin.platforms.meet.adapter import MeetAdapter
from sitin.rehearsal import Rehearsal, Script

DISPLAY = ":97"
WIDTH, HEIGHT, RATE = 1280, 720, 25


async def measure(script: Script) -> tuple[Usage, int]:
    """Hold the meeting and record it the usual way; CPU while recording and peak PSS in bytes."""
    async with Rehearsal(script) as meeting:
        await meeting.pictures_ready()
        order = {
            "url": meeting.url,
            "rules": meeting.browser_host_rules,
            "args": meeting.browser_args,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.usual", json.dumps(order), stdout=subprocess.PIPE
        )
        tree = Tree(process.pid)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"recording\n"
        usage = tree.measure()
        assert await process.stdout.readline() == b"over\n"
        used = usage()
        await process.wait()
        tree.close()
        return used, tree.peak_pss


async def _record(order: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory(prefix="sitin-usual-") as name:
        directory = Path(name)
        sound = directory / "sound.socket"
        environment: dict[str, str] = {
            **os.environ,
            "DISPLAY": DISPLAY,
            "PULSE_SERVER": f"unix:{sound}",
        }
        screen = subprocess.Popen(
            ["Xvfb", DISPLAY, "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        pulse = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                f"--load=module-native-protocol-unix auth-anonymous=1 socket={sound}",
                "--load=module-null-sink sink_name=bot",
            ],
            env={**os.environ, "HOME": name, "XDG_RUNTIME_DIR": name},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not sound.exists() or not Path(f"/tmp/.X11-unix/X{DISPLAY[1:]}").exists():
            await asyncio.sleep(0.05)
        try:
            await _visit(order, directory, environment)
        finally:
            pulse.terminate()
            screen.terminate()
            pulse.wait()
            screen.wait()


async def _visit(order: dict[str, object], directory: Path, environment: dict[str, str]) -> None:
    adapter = MeetAdapter()
    args = order["args"]
    assert isinstance(args, list)
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            directory / "profile",
            executable_path=FULL,
            headless=False,
            ignore_default_args=["--mute-audio"],
            bypass_csp=True,
            locale="en-US",
            no_viewport=True,
            env={**environment},
            args=[
                "--kiosk",
                f"--window-size={WIDTH},{HEIGHT}",
                "--window-position=0,0",
                "--autoplay-policy=no-user-gesture-required",
                "--disable-gpu",
                f"--host-resolver-rules={order['rules']}",
                *args,
            ],
        )
        page = context.pages[0]
        # The adapter's page script reports through a function instead of the capture's link.
        await context.expose_function("sitinSays", adapter.receive)
        await context.add_init_script(
            "globalThis.__sitin = {emit: (m) => typeof m === 'string' && sitinSays(m)};"
            + adapter.init_script
        )
        await adapter.join(
            page, url=str(order["url"]), bot_name="Bench", mode=RecordingMode.SPEAKER_VIEW
        )
        recorder = None
        async for signal in adapter.signals(page):
            if isinstance(signal, Admitted) and recorder is None:
                recorder = _ffmpeg(directory, environment)
                print("recording", flush=True)
            elif isinstance(signal, Over):
                print("over", flush=True)
                break
        assert recorder is not None
        recorder.communicate(b"q")
        await context.close()


def _ffmpeg(directory: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            "ffmpeg",
            "-loglevel",
            "error",
            "-y",
            "-f",
            "x11grab",
            "-draw_mouse",
            "0",
            "-framerate",
            str(RATE),
            "-video_size",
            f"{WIDTH}x{HEIGHT}",
            "-i",
            DISPLAY,
            "-f",
            "pulse",
            "-i",
            "bot.monitor",
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-pix_fmt",
            "yuv420p",
            "-g",
            "50",
            "-c:a",
            "aac",
            "-b:a",
            "96k",
            "-ac",
            "1",
            "-movflags",
            "+faststart",
            str(directory / "output.mp4"),
        ],
        stdin=subprocess.PIPE,
        env=environment,
    )


if __name__ == "__main__":
    asyncio.run(_record(json.loads(sys.argv[1])))
