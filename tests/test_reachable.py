"""A test run that was killed leaves nothing behind for long."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.reachable import reachable_directory, remove_left_behind

pytestmark = pytest.mark.db

KILLED_RUN = """
import os, signal
from sitin.kit.postgres import EmbeddedPostgres
from tests.reachable import reachable_directory, shelter_of

with reachable_directory() as path:
    data_dir = path / "1" / "data"
    print(path, EmbeddedPostgres(data_dir, shelter=shelter_of(data_dir)).start(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def servers_below(path: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(path) in part for part in process.info["cmdline"] or [])
    ]


def test_the_next_run_stops_its_servers_and_removes_its_files() -> None:
    with reachable_directory() as ours:
        result = subprocess.run(
            [sys.executable, "-c", KILLED_RUN],
            check=False,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        killed = Path(result.stdout.split()[0])
        assert servers_below(killed)
        remove_left_behind()
        assert not servers_below(killed)
        assert not killed.exists()
        assert ours.exists()
