"""The records that the page sends, also those of a page that means harm."""

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.runner.capture.frames import (
    AUDIO,
    BYTES,
    HEADER,
    REPORT,
    TAB,
    TEXT,
    VIDEO,
    CodecReport,
    EncodedAudio,
    EncodedVideo,
    MalformedBatchError,
    PageMessage,
    ProblemReport,
    RunningReport,
    TabChunk,
    TrackReport,
    UntappableReport,
    pack_video,
    parse,
)

pytestmark = pytest.mark.unit

u16, u32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
instants = st.floats(0, 4_000_000_000, allow_nan=False)


def record(
    kind: int,
    data: bytes = b"",
    *,
    flags: int = 0,
    sources: tuple[int, ...] = (),
    track: int = 0,
    length: int | None = None,
    rtp: int = 0,
    sequence: int = 0,
    milliseconds: float = 0.0,
    width: int = 0,
    height: int = 0,
) -> bytes:
    """One record, written byte by byte as the module's table says."""
    head = struct.pack(
        "<BBBBIIIIdHH",
        kind,
        flags,
        len(sources),
        0,
        track,
        len(data) if length is None else length,
        rtp,
        sequence,
        milliseconds,
        width,
        height,
    )
    return head + b"".join(struct.pack("<I", source) for source in sources) + data


def test_a_batch_holds_records_of_every_kind() -> None:
    reports: list[tuple[dict[str, object], object]] = [
        (
            {"type": "track", "id": 3, "kind": "audio", "stream": "s", "state": "live"},
            TrackReport(type="track", id=3, kind="audio", stream="s", state="live"),
        ),
        (
            {"type": "codec", "id": 3, "kind": "audio", "mimeType": "audio/opus"},
            CodecReport(type="codec", id=3, kind="audio", mimeType="audio/opus"),
        ),
        ({"type": "running", "ids": [1, 2]}, RunningReport(type="running", ids=(1, 2))),
        (
            {"type": "untappable", "kind": "video", "why": "no"},
            UntappableReport(type="untappable", kind="video", why="no"),
        ),
        ({"type": "problem", "what": "w"}, ProblemReport(type="problem", what="w")),
    ]
    batch = (
        record(AUDIO, b"op", track=3, sources=(7, 8), rtp=9, sequence=10, milliseconds=1500.0)
        + record(VIDEO, b"vi", track=4, flags=1, rtp=11, milliseconds=2500.0, width=640, height=360)
        + record(TEXT, "Grüße".encode())
        + record(BYTES, b"\x00\xff")
        + record(TAB, b"mp4")
        + b"".join(record(REPORT, json.dumps(sent).encode()) for sent, _ in reports)
    )
    assert list(parse(batch)) == [
        EncodedAudio(3, 9, 10, 1.5, (7, 8), b"op"),
        EncodedVideo(4, True, 11, 2.5, 640, 360, b"vi"),
        PageMessage("Grüße"),
        PageMessage(b"\x00\xff"),
        TabChunk(b"mp4"),
        *(expected for _, expected in reports),
    ]


def test_an_empty_batch_holds_nothing() -> None:
    assert list(parse(b"")) == []


@given(
    track=u32,
    key=st.booleans(),
    rtp=u32,
    received=instants,
    width=u16,
    height=u16,
    data=st.binary(max_size=200),
)
def test_a_kept_frame_is_read_back(
    track: int, key: bool, rtp: int, received: float, width: int, height: int, data: bytes
) -> None:
    frame = EncodedVideo(track, key, rtp, received, width, height, data)
    (read,) = parse(pack_video(frame))
    assert isinstance(read, EncodedVideo)
    assert read.received == pytest.approx(received, abs=1e-3)
    assert (read.track, read.key, read.rtp, read.width, read.height, read.data) == (
        track,
        key,
        rtp,
        width,
        height,
        data,
    )


@given(st.binary(max_size=400))
def test_any_bytes_are_a_batch_or_refused(batch: bytes) -> None:
    try:
        items = list(parse(batch))
    except MalformedBatchError:
        return
    payload = sum(len(i.data) for i in items if isinstance(i, (EncodedAudio, EncodedVideo)))
    assert payload <= len(batch), "nothing is made up"


@given(st.data())
def test_a_batch_cut_anywhere_is_refused_or_ends_with_a_record(data: st.DataObject) -> None:
    whole = record(AUDIO, b"123", sources=(1, 2)) + record(VIDEO, b"45") + record(BYTES, b"6")
    ends = {0, 32 + 8 + 3, 32 + 8 + 3 + 32 + 2, len(whole)}
    cut = data.draw(st.integers(0, len(whole)))
    if cut in ends:
        list(parse(whole[:cut]))
    else:
        with pytest.raises(MalformedBatchError):
            list(parse(whole[:cut]))


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        (record(0), "unknown kind 0"),
        (record(7), "unknown kind 7"),
        (record(255), "unknown kind 255"),
        (record(VIDEO, b"x", length=2), "longer than its batch"),
        (record(VIDEO, b"x", length=2**32 - 1), "longer than its batch"),
        (HEADER.pack(AUDIO, 0, 255, 0, 1, 0, 0, 0, 0.0, 0, 0), "longer than its batch"),
        (record(TEXT, b"\xff\xfe"), "not UTF-8"),
        (record(REPORT, b"\xff"), "none"),
        (record(REPORT, b"{"), "none"),
        (record(REPORT, b"[]"), "none"),
        (record(REPORT, b'{"type": "track"}'), "none"),
        (record(REPORT, b'{"type": "new"}'), "none"),
        (record(REPORT, b'{"type": "running", "ids": ["x"]}'), "none"),
        (record(REPORT, b"[" * 100_000), "none"),
        (record(AUDIO, b"x", milliseconds=math.nan), "no time"),
        (record(VIDEO, b"x", milliseconds=math.inf), "no time"),
        (record(VIDEO, b"x", milliseconds=-math.inf), "no time"),
        (record(AUDIO, b"x", milliseconds=1e300), "no time"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_record_is_refused_and_says_why(batch: bytes, why: str) -> None:
    with pytest.raises(MalformedBatchError, match=why):
        list(parse(batch))
