"""What a machine keeps of itself."""

import os
import stat
from pathlib import Path

import pytest

from sitin.cli.launching import check_isolation
from sitin.cli.machine import host_id, recordings_directory
from sitin.kit.errors import OperatorError
from sitin.runner import isolation

pytestmark = pytest.mark.unit


def test_a_machine_stays_the_same(tmp_path: Path) -> None:
    first = host_id(tmp_path / "data")
    assert host_id(tmp_path / "data") == first
    (tmp_path / "data" / "host_id").write_text("nonsense")
    with pytest.raises(OperatorError, match="remove it"):
        host_id(tmp_path / "data")


def test_bots_can_enter_where_they_record(tmp_path: Path) -> None:
    place = recordings_directory(tmp_path / "data", shelter=tmp_path / "shelter")
    assert recordings_directory(tmp_path / "data", shelter=tmp_path / "shelter") == place
    if os.geteuid() == 0:
        assert stat.S_IMODE(place.stat().st_mode) == 0o711
        assert place.is_relative_to(tmp_path / "shelter")
        place.rmdir()
        with pytest.raises(OperatorError, match="bring that directory back"):
            recordings_directory(tmp_path / "data", shelter=tmp_path / "shelter")
    else:
        assert place == tmp_path / "data" / "recordings"


async def test_bots_that_cannot_be_kept_apart_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "identity_for", lambda _: isolation.Identity(61_184))
    refusing = ["sh", "-c", "echo unshare failed: Operation not permitted >&2; exit 1"]
    monkeypatch.setattr(isolation, "confined", lambda *_: refusing)
    with pytest.raises(OperatorError, match=r"not permitted.*another user than root"):
        await check_isolation()
