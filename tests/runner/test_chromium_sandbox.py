"""Whether Chromium's sandbox can be had, as the doctor tells it and as a bot uses it."""

import os
import subprocess
import sys

import pytest

from sitin.runner import chromium_sandbox, isolation, system_calls

pytestmark = pytest.mark.unit

_ASK = "from sitin.runner.chromium_sandbox import unusable_because as ask; print(ask())"
_WITHOUT_NAMESPACES = f"""
import ctypes
from sitin.runner import system_calls
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
system_calls.restrict(strictly=True)
{_ASK}
"""


def asked(script: str) -> str:
    """What an ordinary user is told."""
    user = None if os.geteuid() != 0 else isolation.LAST_UID
    command = [sys.executable, "-I", "-c", script]
    result = subprocess.run(
        command, check=True, capture_output=True, text=True, user=user, group=user, cwd="/"
    )
    return result.stdout.strip()


@pytest.mark.skipif(
    system_calls.available() is not None, reason="libseccomp, which plays the kernel, is missing"
)
def test_where_the_kernel_refuses_namespaces_it_is_told() -> None:
    told = asked(_WITHOUT_NAMESPACES)
    assert told.endswith("(Operation not permitted)")
    assert told != asked(_ASK)


def test_the_answer_is_that_of_the_system_s_own_tool() -> None:
    user = None if os.geteuid() != 0 else isolation.LAST_UID
    result = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "--pid", "true"],
        check=False,
        capture_output=True,
        user=user,
        group=user,
    )
    assert (asked(_ASK) == "None") == (result.returncode == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_root_has_none() -> None:
    assert chromium_sandbox.unusable_because() == "Chromium does not sandbox what runs as root"
