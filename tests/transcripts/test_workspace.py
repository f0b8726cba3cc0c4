"""A run's directory is its own and does not outlive it by much."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sitin.transcripts.workspace import workspace

pytestmark = pytest.mark.unit

HOLDER = """
import sys
from pathlib import Path
from sitin.transcripts.workspace import workspace
with workspace(Path(sys.argv[1])) as path:
    (path / "audio.flac").write_bytes(b"x" * 1000)
    print(path, flush=True)
    sys.stdin.read()
"""


def test_is_removed_at_its_end(tmp_path: Path) -> None:
    with workspace(tmp_path / "work") as path:
        (path / "audio.flac").write_bytes(b"x")
    assert list((tmp_path / "work").iterdir()) == []


def test_two_do_not_disturb_each_other(tmp_path: Path) -> None:
    with workspace(tmp_path) as one, workspace(tmp_path) as other:
        assert one != other
        assert one.is_dir()
        assert other.is_dir()


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        with workspace(tmp_path):
            assert (left / "audio.flac").exists()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert left.exists()
        with workspace(tmp_path) as own:
            assert not left.exists()
            assert own.exists()
