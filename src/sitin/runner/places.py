"""Where a bot's files are, inside the recordings directory. For supervisor and runner.

::

    <recordings>/<bot id>/      the worker's: spec.json, runner.log, supervisor.lock
                  └── files/    the bot's own: spool, socket, capture, recording

The outer directory belongs to the worker and the inner one to the bot's user. When the worker is
root it never writes in the inner one, and takes no file from there that is a link: what a bot's
processes put there is untrusted.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sitin.contract.recording import Recording
from sitin.contract.spec import BotSpec
from sitin.kit.files import file_beneath
from sitin.runner.isolation import FIRST_UID, LAST_UID, Identity

NO_SPACE = 28
"""A runner's exit code when the disk is too full for what is to be written: nothing is lost, it is
to be started again."""


class UnsafeRecordingError(Exception):
    """A recording names something that is no file of its own."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of one bot."""

    root: Path

    @property
    def files(self) -> Path:
        """The bot's own directory."""
        return self.root / "files"

    @property
    def log(self) -> Path:
        """What the bot's process prints."""
        return self.root / "runner.log"

    @property
    def lock(self) -> Path:
        """Held by the worker that supervises the bot."""
        return self.root / "supervisor.lock"

    @property
    def identity(self) -> Identity | None:
        """The bot's user, who owns its files; ``None`` when the worker is not root.

        Raises ``OSError`` before it has been made.
        """
        if os.geteuid() != 0:
            return None
        uid = self.files.stat().st_uid
        if not FIRST_UID <= uid <= LAST_UID:
            raise PermissionError(f"{self.files} does not belong to a bot's user.")
        return Identity(uid)

    @property
    def ports(self) -> Path:
        """The ports of its runner, as JSON; for the firewall."""
        return self.root / "ports.json"

    @property
    def _spec(self) -> Path:
        return self.root / "spec.json"

    @property
    def ordered(self) -> bool:
        """Whether the bot's order has been written."""
        return self._spec.exists()

    def make(self, identity: Identity | None) -> None:
        """Make the directories; no error when they are there."""
        self.root.mkdir(exist_ok=True)
        # The mask of the process does not apply: the bot's user has to get to its own directory.
        self.root.chmod(0o711)
        self.files.mkdir(mode=0o700, exist_ok=True)
        if identity is not None:
            os.chown(self.files, identity.uid, identity.uid)

    def write_spec(self, spec: BotSpec, identity: Identity | None) -> None:
        """Write the order; only the bot may read it."""
        partial = self.root / "spec.partial"
        partial.touch(mode=0o600)
        partial.chmod(0o640)
        partial.write_text(spec.model_dump_json())
        if identity is not None:
            os.chown(partial, 0, identity.uid)
        partial.replace(self._spec)

    def read_spec(self) -> BotSpec:
        """The order."""
        return BotSpec.model_validate_json(self._spec.read_bytes())

    def delete(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.root, ignore_errors=True)

    def verify(self, recording: Recording) -> None:
        """Raise ``UnsafeRecordingError`` unless every file is a plain one of this bot's own."""
        for ref in recording.files:
            try:
                file_beneath(self.files, ref.path)
            except (ValueError, OSError) as error:
                raise UnsafeRecordingError(f"{ref.path!r} is no file of this recording") from error
