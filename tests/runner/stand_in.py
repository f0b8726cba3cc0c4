"""A bot's program without a browser: spool, socket and announcement are the real ones.

Run by the real supervisor in the place of ``python -m sitin.runner``; what it does is told by the
bot's name in its order. It imports nothing of the tests, which a bot's user may not read. Putting
together what it left is the real runner's work.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.events import Ended, ParticipantSeen, StatusReached
from sitin.contract.recording import ArtifactKind, ArtifactRef, Recording
from sitin.kit.clock import SystemClock
from sitin.runner import __main__ as runner
from sitin.runner.control import NAME, ControlServer
from sitin.runner.places import Place
from sitin.runner.processes import announce
from sitin.runner.spool import Spool


class StandIn:
    """One bot."""

    def __init__(self, place: Place) -> None:
        self.spec = place.read_spec()
        self.files = place.files
        self.behaviour = self.spec.bot_name
        self.spool = Spool(self.files, self.spec.fencing_token)
        self.left = asyncio.Event()

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

    async def behave(self) -> None:
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
            case ["tell", "environment"]:
                told = "\n".join(f"{name}={value}" for name, value in os.environ.items())
                (self.files / "environment").write_text(told)
                (self.files / "identity").write_text(_identity())


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
