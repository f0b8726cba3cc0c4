"""The directories, ports and limits of one bot's browsers. For the runner."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import playwright

from sitin.contract.spec import BrowserSpec
from sitin.runner.confinement import Confinement
from sitin.runner.isolation import code_directories
from sitin.runner.listeners import Listeners


@dataclass(frozen=True, slots=True)
class BrowserSurroundings:
    """What the browsers of one bot have in common; they follow one another."""

    profiles: Path
    """The directory of their profiles."""
    temporary: Path
    """Temporary files. Chromium keeps a socket there whose whole path may have 107 bytes; a
    recording's is longer."""
    sandboxed: bool = False
    """Whether Chromium's own sandbox can be had."""
    listeners: Listeners | None = None
    """The runner's two ports, if they are open already."""

    def confinement(self, spec: BrowserSpec) -> Confinement:
        """Returns what the kernel lets the browsers do."""
        programs = [Path(path).resolve().parent for path in (spec.path, spec.lean_path) if path]
        node = Path(playwright.__file__).parent / "driver" / "node"
        return Confinement(
            readable=tuple(str(path) for path in (*code_directories(), *programs)),
            home=str(self.profiles),
            temporary=str(self.temporary),
            ports=self.listeners.ports if self.listeners else (),
            sandboxed=self.sandboxed,
            node=str(node),
        )


@contextmanager
def browser_surroundings(
    directory: Path, *, sandboxed: bool = False, listeners: Listeners | None = None
) -> Iterator[BrowserSurroundings]:
    """Makes the directories, that of the profiles in ``directory``; removes them at the end."""
    profiles = directory / "browser"
    profiles.mkdir(exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix="sitin-", dir="/tmp"))
    try:
        yield BrowserSurroundings(profiles, temporary, sandboxed, listeners)
    finally:
        for made in (profiles, temporary):
            shutil.rmtree(made, ignore_errors=True)
