"""What the doctor tells of the walls around bots, on machines that have more and fewer of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from sitin.cli.doctor import checks
from sitin.cli.doctor.checks import Finding
from sitin.cli.launching import IsolationReport, _report
from sitin.cli.settings import load_settings
from sitin.kit.errors import OperatorError
from tests.cli.conftest import Machine

pytestmark = pytest.mark.unit

EVERYTHING: dict[str, Any] = {"sandbox": None, "landlock": 7, "system_calls": None}


def report(
    *, own_user: bool = True, tree: str | None = None, wall: str | None = None, **found: Any
) -> IsolationReport:
    return _report(EVERYTHING | found, own_user=own_user, no_tree=tree, no_firewall=wall)


def test_a_machine_that_has_everything_is_well() -> None:
    found = report()
    assert found.missing == ()
    assert found.sentence.startswith("every bot runs as a user of its own; in its own file tree")
    assert "not:" not in found.sentence


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (report(sandbox="user.max_user_namespaces is 0"), "user.max_user_namespaces is 0"),
        (report(tree="bubblewrap is not installed"), "own (bubblewrap is not installed)"),
        (report(wall="nftables is not installed"), "(nftables is not installed), so that browsers"),
        (report(wall="x", landlock=3), "(x) or TCP by Landlock (Linux 6.7)"),
        (report(landlock=5), "without others' abstract sockets (Landlock"),
        (report(landlock=0), "the browser's files by Landlock"),
        (report(system_calls="libseccomp is not installed"), "(libseccomp is not installed)"),
        (
            report(own_user=False, wall="sitin does not run as root"),
            "a user of its own for every bot",
        ),
    ],
)
def test_what_is_missing_is_told_with_its_reason(found: IsolationReport, told: str) -> None:
    assert any(told in one for one in found.missing), found
    assert told in found.sentence


async def test_a_wall_that_is_missing_is_a_warning_and_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def with_a_gap() -> IsolationReport:
        return report(wall="nftables is not installed")

    monkeypatch.setattr(checks, "check_isolation", with_a_gap)
    found = await checks._look("isolation", checks._isolation, load_settings())
    assert found.well
    assert found.line().startswith("warn  isolation: every bot runs as a user of its own")
    assert found.as_json()["warning"] is True
    assert Finding("x", well=True, told="y").line() == "ok    x: y"
    assert Finding("x", well=False, told="y").line() == "FAIL  x: y"


async def test_the_doctor_tells_of_this_machine_what_its_kernel_says(machine: Machine) -> None:
    _, output, errors = await machine.run("doctor", "--json")
    (found,) = (one for one in json.loads(output) if one["what"] == "isolation")
    assert found["well"], errors
    assert found["warning"] == ("not:" in found["told"])


@pytest.mark.parametrize("value", ["10.0.0.1:99999", "sfu.example", "10.1.2.3/8"])
def test_a_media_address_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    monkeypatch.setenv("SITIN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SITIN_BROWSER_MEDIA_ADDRESSES", value)
    with pytest.raises(OperatorError, match=r"SITIN_BROWSER_MEDIA_ADDRESSES: .*is not ADDRESS"):
        load_settings()
