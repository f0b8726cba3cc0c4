"""What `make setup` does about packages of the system, where it may not install any."""

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SCRIPT = Path(__file__).parents[1] / "scripts" / "system-packages"


def packages(*names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(SCRIPT), *names],
        env={**os.environ, "APT": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_there_needs_no_word() -> None:
    done = packages("sh", "--", "ls")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_missing_is_named_with_what_to_do() -> None:
    done = packages("sh", "no-such-tool", "--", "no-such-luxury")
    assert done.returncode == 1
    assert "missing: no-such-tool\n" in done.stderr
    assert "APT=0" in done.stderr


def test_what_can_be_done_without_stops_nobody() -> None:
    done = packages("sh", "--", "no-such-luxury")
    assert done.returncode == 0
    assert "going on without: no-such-luxury" in done.stderr


def test_a_browser_of_the_operators_own_will_do(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    bare = {"PATH": "/nowhere", "SITIN_BROWSER_PATH": str(browser)}
    script = ["/bin/sh", str(SCRIPT), "chromium"]
    environment = {"APT": "0", **bare}
    done = subprocess.run(script, env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    browser.touch(mode=0o755)
    done = subprocess.run(script, env=environment, capture_output=True, check=False)
    assert done.returncode == 0
