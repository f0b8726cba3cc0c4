"""What the page sends: records of encoded frames, reports and messages, several to a batch.

A record is a 32-byte little-endian header, ``count`` contributing sources of 4 bytes, and the
payload:

=======  ======  ==========================================================
offset   type    field
=======  ======  ==========================================================
0        u8      kind: 1 audio, 2 video, 3 report, 4 text, 5 bytes, 6 tab
1        u8      flags: bit 0 set on a key frame
2        u8      count of contributing sources
3        u8      0
4        u32     track, numbered by the page's hook
8        u32     payload length, bytes
12       u32     RTP timestamp
16       u32     RTP sequence number (audio)
20       f64     when it was received, milliseconds since 1970
28       u16     width, pixels (video, where the page knows it)
30       u16     height, pixels
=======  ======  ==========================================================

The page is untrusted: a batch that does not parse is refused whole.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from sitin.contract.base import Frozen

HEADER = struct.Struct("<BBBBIIIIdHH")
_SOURCE = struct.Struct("<I")

AUDIO, VIDEO, REPORT, TEXT, BYTES, TAB = range(1, 7)

_END_OF_TIME = 1e14
"""Milliseconds since 1970: the year 5138, beyond which arithmetic with times runs over."""


class MalformedBatchError(Exception):
    """The page sent something that is no batch of records."""


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """One encoded packet of sound; ``received`` in seconds since 1970.

    One without data was silent, and tells no more than its time.
    """

    track: int
    rtp: int
    sequence: int
    received: float
    sources: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """One encoded picture; ``received`` in seconds since 1970."""

    track: int
    key: bool
    rtp: int
    received: float
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TabChunk:
    """A piece of the tab's recording, as the browser's recorder wrote it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PageMessage:
    """What the platform's page script emitted."""

    message: str | bytes


class TrackReport(Frozen):
    """A receiver's track has come, or ended."""

    type: Literal["track"]
    id: int
    kind: Literal["audio", "video"]
    stream: str
    state: Literal["live", "ended"]


class CodecReport(Frozen):
    """The codec of a track, when its first frame comes and when it changes."""

    type: Literal["codec"]
    id: int
    kind: Literal["audio", "video"]
    mimeType: str  # noqa: N815 (as WebRTC spells it)


class RunningReport(Frozen):
    """The video tracks that have received frames since the report before."""

    type: Literal["running"]
    ids: tuple[int, ...]


class FlushedReport(Frozen):
    """A document has sent all that it held when it was asked to."""

    type: Literal["flushed"]


class UntappableReport(Frozen):
    """A receiver whose frames cannot be taken."""

    type: Literal["untappable"]
    kind: str
    why: str


class ProblemReport(Frozen):
    """Something failed inside the page's part of the capture."""

    type: Literal["problem"]
    what: str


Report = (
    TrackReport | CodecReport | RunningReport | FlushedReport | UntappableReport | ProblemReport
)
Item = EncodedAudio | EncodedVideo | TabChunk | PageMessage | Report

_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


def pack_video(frame: EncodedVideo) -> bytes:
    """The record of one video frame, for the journal of a dense recording."""
    return (
        HEADER.pack(
            VIDEO,
            int(frame.key),
            0,
            0,
            frame.track,
            len(frame.data),
            frame.rtp,
            0,
            frame.received * 1000,
            frame.width,
            frame.height,
        )
        + frame.data
    )


def parse(batch: bytes) -> Iterator[Item]:
    """The records of a batch, in order. Raises ``MalformedBatchError``."""
    at = 0
    while at < len(batch):
        try:
            kind, flags, count, _, track, length, rtp, sequence, received, width, height = (
                HEADER.unpack_from(batch, at)
            )
        except struct.error as error:
            raise MalformedBatchError("a record's header is cut off") from error
        start = at + HEADER.size + count * _SOURCE.size
        at = start + length
        if at > len(batch):
            raise MalformedBatchError("a record is longer than its batch")
        data = batch[start:at]
        if not 0 <= received < _END_OF_TIME:
            raise MalformedBatchError("a record was received at no time")
        if kind == AUDIO:
            sources = tuple(
                _SOURCE.unpack_from(batch, start - (count - i) * _SOURCE.size)[0]
                for i in range(count)
            )
            yield EncodedAudio(track, rtp, sequence, received / 1000, sources, data)
        elif kind == VIDEO:
            yield EncodedVideo(track, bool(flags & 1), rtp, received / 1000, width, height, data)
        elif kind == TAB:
            yield TabChunk(data)
        elif kind == BYTES:
            yield PageMessage(data)
        elif kind == TEXT:
            yield PageMessage(_text(data))
        elif kind == REPORT:
            yield _report(data)
        else:
            raise MalformedBatchError(f"a record of unknown kind {kind}")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedBatchError("a text is not UTF-8") from error


def _report(data: bytes) -> Report:
    try:
        return _REPORT.validate_json(data)
    except ValidationError as error:
        raise MalformedBatchError("a report that is none") from error
