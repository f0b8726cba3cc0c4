import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import sitin.platforms.meet
from sitin.platforms.meet import wire_pb2 as wire

pytestmark = pytest.mark.unit

HERE = Path(sitin.platforms.meet.__file__).parent
SOURCE = HERE.parents[2]


def test_the_generated_code_is_that_of_the_schema(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{SOURCE}",
            f"--plugin=protoc-gen-mypy={Path(sys.executable).parent / 'protoc-gen-mypy'}",
            f"--python_out={tmp_path}",
            f"--mypy_out={tmp_path}",
            str(HERE / "wire.proto"),
        ],
        check=True,
        capture_output=True,
    )
    made = tmp_path / "sitin/platforms/meet"
    for name in ("wire_pb2.py", "wire_pb2.pyi"):
        assert (made / name).read_text() == (HERE / name).read_text(), f"{name}: generate it again"


def test_field_numbers_are_those_seen_in_meetings() -> None:
    # Written by hand, so that a slip in the schema does not pass by agreeing with itself.
    user = bytes([10, 2, 100, 49, 18, 3, 65, 100, 97, 32, 1, 58, 1, 49, 170, 1, 1, 112])
    user += bytes([234, 1, 1, 65, 144, 2, 1])
    parsed = wire.User.FromString(user)
    assert parsed.device_id == "d1"
    assert parsed.full_name == "Ada"
    assert parsed.status == wire.USER_STATUS_IN_MEETING
    assert parsed.HasField("self")
    assert parsed.parent_device_id == "p"
    assert parsed.display_name == "A"
    assert parsed.is_host == 1
    # 1 -> 2 -> 3 -> 2 {type 1, stream "7", device "d", state {disabled}}
    output = bytes([16, 1, 34, 1, 55, 50, 1, 100, 82, 2, 8, 1])
    event = output
    for key in (18, 26, 18, 10):
        event = bytes([key, len(event)]) + event
    parsed_event = wire.CollectionEvent.FromString(zlib.decompress(zlib.compress(event)))
    (only,) = parsed_event.body.update.devices.outputs
    assert (only.type, only.stream_id, only.device_id, only.state.disabled) == (1, "7", "d", 1)


def test_a_caption_is_read_from_its_bytes() -> None:
    caption = bytes([10, 1, 100, 16, 5, 24, 2, 32, 1, 50, 2, 104, 105, 64, 1])
    parsed = wire.CaptionEvent.FromString(bytes([10, len(caption)]) + caption).caption
    assert (parsed.device_id, parsed.caption_id, parsed.version) == ("d", 5, 2)
    assert (parsed.is_final, parsed.text, parsed.language_id) == (1, "hi", 1)
