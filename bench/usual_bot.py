"""A bot that records the usual way: ``python -m bench.usual_bot ORDER``, started by ``usual``.

It joins by the same adapter; nothing of sitin's capture is in it. Tells on its standard output, a
line of JSON each, where in the window the speaker's picture is when it begins to record, and when
the meeting is over.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from playwright.async_api import BrowserContext, Page, async_playwright

from sitin.contract.codes import RecordingMode
from sitin.contract.meeting import Admitted, Over
from sitin.platforms.meet.adapter import MeetAdapter

CHROMIUM = "/usr/bin/chromium"
DISPLAY = ":97"
WIDTH, HEIGHT, RATE = 1280, 720, 25

_PICTURE = """
() => {
  const box = document.querySelector(".tile.large video").getBoundingClientRect();
  const width = Math.min(box.width, box.height * 16 / 9), height = width * 9 / 16;
  const left = box.left + (box.width - width) / 2, top = box.top + (box.height - height) / 2;
  return { left, top, width, height };
}
"""


async def _record(order: dict[str, Any]) -> None:
    directory = Path(order["directory"])
    async with async_playwright() as playwright:
        with _screen_and_sound(directory) as environment:
            context = await playwright.chromium.launch_persistent_context(
                directory / "profile",
                executable_path=CHROMIUM,
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
                    *order["args"],
                ],
            )
            await _visit(context, order["url"], directory, environment)
            await context.close()


async def _visit(
    context: BrowserContext, url: str, directory: Path, environment: dict[str, str]
) -> None:
    adapter = MeetAdapter()
    page = context.pages[0]
    # The adapter's page script reports through a function instead of the capture's link.
    await context.expose_function("sitinSays", adapter.receive)
    await context.add_init_script(
        "globalThis.__sitin = {emit: (m) => typeof m === 'string' && sitinSays(m)};"
        + adapter.init_script
    )
    await adapter.join(page, url=url, bot_name="Bench", mode=RecordingMode.SPEAKER_VIEW)
    recorder = None
    async for signal in adapter.signals(page):
        if isinstance(signal, Admitted) and recorder is None:
            await _show_the_speaker_alone(page)
            recorder = _ffmpeg(directory, environment)
            _tell({"picture": await page.evaluate(_PICTURE)})
        elif isinstance(signal, Over):
            _tell("over")
            break
    assert recorder is not None
    recorder.communicate(b"q")


async def _show_the_speaker_alone(page: Page) -> None:
    await page.get_by_role("button", name="More options").click()
    await page.get_by_text("Adjust view").first.click()
    await page.get_by_label("Spotlight").check()
    await page.get_by_role("button", name="Close").click()


def _tell(what: object) -> None:
    print(json.dumps(what), flush=True)


@contextmanager
def _screen_and_sound(directory: Path) -> Iterator[dict[str, str]]:
    """An X server and a sound server; gives the environment in which they are found."""
    sound = directory / "sound.socket"
    size = f"{WIDTH}x{HEIGHT}x24"
    screen = _quietly(["Xvfb", DISPLAY, "-screen", "0", size, "-nolisten", "tcp"])
    pulse = _quietly(
        [
            "pulseaudio",
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            f"--load=module-native-protocol-unix auth-anonymous=1 socket={sound}",
            "--load=module-null-sink sink_name=bot",
        ],
        HOME=str(directory),
        XDG_RUNTIME_DIR=str(directory),
    )
    try:
        while not sound.exists() or not Path(f"/tmp/.X11-unix/X{DISPLAY[1:]}").exists():
            assert screen.poll() is None, "Xvfb did not start"
            assert pulse.poll() is None, "pulseaudio did not start"
            time.sleep(0.05)
        yield {**os.environ, "DISPLAY": DISPLAY, "PULSE_SERVER": f"unix:{sound}"}
    finally:
        for process in (pulse, screen):
            process.terminate()
            process.wait()


def _quietly(command: list[str], **environment: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _ffmpeg(directory: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    picture = ["-f", "x11grab", "-draw_mouse", "0", "-framerate", str(RATE)]
    picture += ["-video_size", f"{WIDTH}x{HEIGHT}", "-i", DISPLAY]
    sound = ["-f", "pulse", "-i", "bot.monitor"]
    # As in sitin/runner/capture/picture.py.
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-threads", "1"]
    video += ["-qp", "23", "-g", "50", "-pix_fmt", "yuv420p"]
    audio = ["-c:a", "aac", "-aac_coder", "fast", "-b:a", "96k", "-ac", "1"]
    target = ["-movflags", "+faststart", str(directory / "output.mp4")]
    return subprocess.Popen(
        ["ffmpeg", "-loglevel", "error", "-y", *picture, *sound, *video, *audio, *target],
        stdin=subprocess.PIPE,
        env=environment,
    )


if __name__ == "__main__":
    # Standard output tells the bench where the recording stands, and nothing else.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_record(json.loads(sys.argv[1])))
