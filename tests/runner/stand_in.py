"""A bot's program without a browser: spool, socket and announcement are the real ones.

Run by the real supervisor in the place of ``python -m sitin.runner``; what it does is told by the
bot's name in its order. It imports nothing of the tests, which a bot's user may not read. Putting
together what it left is the real runner's work.
"""

import asyncio
import dataclasses
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.events import Ended, ParticipantSeen, StatusReached
from sitin.contract.recording import ArtifactKind, ArtifactRef, Recording
from sitin.kit.clock import SystemClock
from sitin.runner import __main__ as runner
from sitin.runner.browser_surroundings import browser_surroundings
from sitin.runner.chromium_sandbox import unusable_because
from sitin.runner.confinement import starting_confined
from sitin.runner.control import NAME, ControlServer
from sitin.runner.listeners import Listeners
from sitin.runner.places import Place
from sitin.runner.processes import announce
from sitin.runner.spool import Spool

PAGE = "<!doctype html><title>page</title>"
CALL = """async () => {
    const near = new RTCPeerConnection();
    const far = new RTCPeerConnection();
    near.onicecandidate = ({ candidate }) => candidate && far.addIceCandidate(candidate);
    far.onicecandidate = ({ candidate }) => candidate && near.addIceCandidate(candidate);
    const opened = new Promise((resolve) => (near.createDataChannel("x").onopen = resolve));
    const offer = await near.createOffer();
    await far.setRemoteDescription(offer);
    await near.setLocalDescription(offer);
    const answer = await far.createAnswer();
    await near.setRemoteDescription(answer);
    await far.setLocalDescription(answer);
    const late = new Promise((resolve) => setTimeout(resolve, 8000));
    await Promise.race([opened, late]);
    return near.connectionState;
}"""
"""A call between two ends of one page, which reach each other by the machine's own address."""


class StandIn:
    """One bot."""

    def __init__(self, place: Place) -> None:
        self.spec = place.read_spec()
        self.files = place.files
        self.behaviour = self.spec.bot_name
        self.spool = Spool(self.files, self.spec.fencing_token)
        self.left = asyncio.Event()
        self.sandboxed = self.behaviour == "call" and unusable_because() is None

    async def run(self) -> None:
        control = ControlServer(self.files, self.spool, self.left.set, alive_every=0.2)
        await control.open()
        announce(self.files)
        self.spool.append(StatusReached(status=BotStatus.JOINING_CALL))
        self.spool.append(ParticipantSeen(participant_id="p/1", name="Ada"))
        await self.behave()
        await self.left.wait()
        self.end()
        await control.close()

    def end(self, *paths: str) -> None:
        files = [
            ArtifactRef(kind=ArtifactKind.AUDIO, path=path, size=1, content_type="audio/flac")
            for path in paths
        ]
        recording = Recording(
            started_at=SystemClock().now(), duration=1.0, files=tuple(files), participants=()
        )
        self.spool.append(
            Ended(reason=EndReason.API_REQUEST, recording=recording if paths else None)
        )

    async def behave(self) -> None:  # noqa: C901 - a list
        match self.behaviour.split():
            case ["hang"]:
                time.sleep(3600)  # noqa: ASYNC251 - that is what it is for
            case ["without", "socket"]:
                (self.files / NAME).unlink()
                await asyncio.sleep(3600)
            case ["eat", megabytes]:
                eaten = b"x" * (int(megabytes) << 20)
                await self.left.wait()
                assert eaten
            case ["leave", "a", "child"]:
                subprocess.Popen(["sleep", "3600"], start_new_session=True)  # noqa: ASYNC220
            case ["record", *paths]:
                (self.files / "output.flac").write_bytes(b"x")
                (self.files / "link.flac").symlink_to("/etc/passwd")
                self.end(*(path.replace("NUL", "\0") for path in paths))
                # It says its last and does not go.
                await asyncio.sleep(3600)
            case ["many", count]:
                for number in range(int(count)):
                    self.spool.append(ParticipantSeen(participant_id=f"p/{number}", name="n"))
            case ["nonsense"]:
                # Appended as a runner would, but no event.
                with (self.files / "events.jsonl").open("ab") as spool:
                    spool.write(b"nonsense\n")
                (self.files / NAME).unlink()
                server = await asyncio.start_unix_server(_speak_nonsense, self.files / NAME)
                await server.serve_forever()
            case ["exit", code]:
                os._exit(int(code))
            case ["by", "signal", number]:
                os.kill(os.getpid(), int(number))
            case ["call"]:
                await self.call()
            case ["intrude", *attempts]:
                await asyncio.to_thread(self.intrude, attempts)
            case ["tell", "environment"]:
                told = "\n".join(f"{name}={value}" for name, value in os.environ.items())
                (self.files / "environment").write_text(told)
                (self.files / "identity").write_text(_identity())

    async def call(self) -> None:
        """Open the real browser as a bot does, and hold a call between two ends of one page."""
        from sitin.runner.browser import open_browser, starting_driver

        listeners = Listeners.inherited(sys.argv[sys.argv.index("--listeners") + 1])
        spec = self.spec.browser
        with browser_surroundings(
            self.files, sandboxed=self.sandboxed, listeners=listeners
        ) as around:
            async with (
                starting_driver(around.confinement(spec)) as driver,
                open_browser(
                    driver,
                    spec,
                    self.files,
                    path=spec.path,
                    direct_port=listeners.ports[1],
                    surroundings=around,
                ) as context,
            ):
                page = context.pages[0]
                await page.route("**/*", lambda route: route.fulfill(body=PAGE))
                await page.goto("https://page.example/")
                self.write_down(json.dumps({"state": await page.evaluate(CALL)}))

    def write_down(self, found: str) -> None:
        """Leave it for the test, whole."""
        (self.files / "found.partial").write_text(found)
        (self.files / "found.partial").rename(self.files / "found.json")

    def intrude(self, attempts: list[str]) -> None:
        """Run this file where the browser would run, and write down what it could do there."""
        listeners = Listeners.inherited(sys.argv[sys.argv.index("--listeners") + 1])
        with browser_surroundings(self.files, sandboxed=True, listeners=listeners) as around:
            confinement = around.confinement(self.spec.browser)
            with starting_confined(dataclasses.replace(confinement, node=sys.executable)):
                starter = os.environ["PLAYWRIGHT_NODEJS_PATH"]
                own = [f"tcp:127.0.0.1:{port}" for port in listeners.ports]
                ways = [*attempts, *own, f"write:{around.profiles}/x", f"write:{self.files}/x"]
                result = subprocess.run(
                    [starter, "-I", "-c", Path(__file__).read_text(), "--as-intruder", *ways],
                    check=True,
                    capture_output=True,
                    text=True,
                )
        self.write_down(result.stdout)


def intruder(attempts: list[str]) -> dict[str, str]:
    """What comes of each: ``ok`` or the name of the error."""
    found = {"ids": " ".join(map(str, (os.getuid(), *os.getresgid())))}
    for one in attempts:
        kind, _, target = one.partition(":")
        try:
            ATTEMPTS[kind](target)
            found[one] = "ok"
        except OSError as error:
            found[one] = errno.errorcode[error.errno] if error.errno else type(error).__name__
    return found


def _address(target: str) -> tuple[int, tuple[str, int]]:
    host, _, port = target.rpartition(":")
    host = host.strip("[]")
    return (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, int(port))


def _tcp(target: str) -> None:
    family, address = _address(target)
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(address)


def _udp(target: str) -> None:
    family, address = _address(target)
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"knock", address)


def _unix(target: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect("\0" + target[1:] if target.startswith("@") else target)


def _socket(target: str) -> None:
    family, kind, protocol = map(int, target.split(","))
    socket.socket(family, kind, protocol).close()


def _read(target: str) -> None:
    path = Path(target)
    assert list(path.iterdir()) if path.is_dir() else path.open("rb").read(1)


def _signal(target: str) -> None:
    os.kill(int(target), 0)


ATTEMPTS = {
    "tcp": _tcp,
    "udp": _udp,
    "unix": _unix,
    "socket": _socket,
    "read": _read,
    "write": lambda target: Path(target).write_text("x"),
    "signal": _signal,
}


async def _speak_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b'{"seq": "all", "body": nothing}\n' + b"x" * (2 << 20))
    await writer.drain()


def _identity() -> str:
    status = Path("/proc/self/status").read_text()
    lines = [line for line in status.splitlines() if line.startswith(("Uid", "Gid", "Groups"))]
    return "\n".join([*lines, f"NoNewPrivs {_no_new_privileges()}", f"Session {os.getsid(0)}"])


def _no_new_privileges() -> str:
    status = Path("/proc/self/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("NoNewPrivs")).split()[1]


def main() -> int:
    """Be a bot, or put together what one left."""
    if "--as-intruder" in sys.argv:
        sys.stdout.write(json.dumps(intruder(sys.argv[2:])))
        return 0
    if "--recover" in sys.argv:
        return runner.main()
    place = Place(Path(sys.argv[1]))
    behaviour = place.read_spec().bot_name
    if behaviour == "never":
        time.sleep(3600)
    if behaviour == "stillborn":
        return 3
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    import faulthandler

    faulthandler.register(signal.SIGUSR1, all_threads=True)
    asyncio.run(StandIn(place).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
